import json

import pytest
from azure.ai.ml.exceptions import JobException
from wines.publish import deploy, train

BAROLO = {"data": [[13.7, 1.7, 2.4, 15.6, 127, 2.8, 3.0, 0.2, 2.3, 5.6, 1.1, 3.9, 1060]]}


def test_a_published_model_knows_its_wines(ml_client, tmp_path):
    deploy(ml_client, train(ml_client), "wines-test")
    (tmp_path / "request.json").write_text(json.dumps(BAROLO))
    answer = ml_client.online_endpoints.invoke("wines-test", request_file=tmp_path / "request.json")
    assert json.loads(answer) == ["class_0"]


def test_a_training_that_cannot_work_fails(azureml_workspace):
    with pytest.raises(JobException, match="must be a float in the range"):
        train(azureml_workspace.client(), regularization=-1.0)
    assert list(azureml_workspace.client().models.list()) == []
