"""A scoring script that takes and gives bytes: the raw HTTP request, not JSON."""

from azureml.contrib.services.aml_request import rawhttp
from azureml.contrib.services.aml_response import AMLResponse


def init():
    pass


@rawhttp
def run(request):
    if request.method == "GET":
        return AMLResponse(dict(request.args), 200, json_str=True)
    files = request.files.getlist("file")
    data = files[0].read() if files else request.get_data(cache=False)
    response = AMLResponse(data[::-1], 200)
    response.mimetype = "application/octet-stream"
    return response
