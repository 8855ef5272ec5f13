"""azureml_local.arm.durations: ISO 8601 durations (RFC 3339, appendix A). azureml_local.arm.names: the rules of
https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas and of the OpenAPI's path parameters."""

import pytest

from azureml_local.arm.durations import seconds
from azureml_local.arm.names import require_asset_name, require_endpoint_name
from azureml_local.http.errors import AzureError


@pytest.mark.parametrize(
    ("text", "expected"),
    [("PT5S", 5), ("PT1M30S", 90), ("PT0.5S", 0.5), ("PT0S", 0), ("P1D", 86400), ("P1DT1H1M1S", 90061), ("PT2H", 7200)],
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "5", "5S", "PT5", "pt5s", "PT-5S", "PT5S ", "PT5S\n", "PT\u0665S", None, 5]
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        seconds(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["abc", "a-1", "Abc", "a" * 32, "a--b"])
def test_names_of_endpoints(name: str) -> None:
    require_endpoint_name(name, "Endpoint")


@pytest.mark.parametrize(
    "name", ["", "ab", "1ab", "-ab", "ab-", "a_b", "a.b", "a b", "a" * 33, "äbc", "abc\n", "abc\0"]
)
def test_what_is_no_name_of_an_endpoint(name: str) -> None:
    with pytest.raises(AzureError) as caught:
        require_endpoint_name(name, "Endpoint")
    assert caught.value.status == 400
    assert "3 to 32 characters" in str(caught.value.body())


@pytest.mark.parametrize("name", ["a", "1", "a.b_c-d", "a" * 255])
def test_names_of_assets(name: str) -> None:
    require_asset_name(name, "Model")


@pytest.mark.parametrize("name", ["", ".", "..", "-a", "_a", "a/b", "a b", "a" * 256, "ä", "a\n"])
def test_what_is_no_name_of_an_asset(name: str) -> None:
    with pytest.raises(AzureError) as caught:
        require_asset_name(name, "Model")
    assert caught.value.status == 400
