"""azureml_local.http.routing: fixed segments in any case, as Resource Manager matches ids
(https://github.com/Azure/azure-resource-manager-rpc/blob/master/v1.0/common-api-details.md: case-insensitive),
parameters decoded once (RFC 3986, 2.4)."""

import pytest

from azureml_local.http.routing import Match, Routes


@pytest.fixture
def routes() -> Routes[str]:
    table: Routes[str] = Routes("/base")
    for method, template in (
        ("GET", "/things"),
        ("GET", "/things/{thing}"),
        ("PUT", "/things/{thing}"),
        ("GET", "/things/special"),
        ("GET", "/things/special/inner"),
        ("GET", "/things/{thing}/parts/{part}"),
    ):
        table.route(method, template)(f"{method} {template}")
    return table


def handler(match: Match[str] | None) -> str | None:
    assert match is not None
    return match.handler


def test_fixed_segments_match_in_any_case_and_values_keep_theirs(routes: Routes[str]) -> None:
    match = routes.match("GET", "/BASE/tHings/Abc/PARTS/xYz")
    template = "/things/{thing}/parts/{part}"
    assert match == Match(f"GET {template}", f"/base{template}", {"thing": "Abc", "part": "xYz"}, ("GET",))


def test_fixed_segment_goes_before_a_parameter(routes: Routes[str]) -> None:
    assert handler(routes.match("GET", "/base/things/special")) == "GET /things/special"
    assert handler(routes.match("GET", "/base/things/other")) == "GET /things/{thing}"


def test_dead_end_behind_a_fixed_segment_goes_back_to_the_parameter(routes: Routes[str]) -> None:
    match = routes.match("GET", "/base/things/special/parts/1")
    assert match is not None
    assert match.params == {"thing": "special", "part": "1"}


def test_values_are_decoded_once_and_a_coded_slash_is_no_separator(routes: Routes[str]) -> None:
    match = routes.match("GET", "/base/things/a%2Fb%2525")
    assert match is not None
    assert match.params == {"thing": "a/b%25"}


@pytest.mark.parametrize("path", ["/base/nothing", "/base", "/", "", "/base/things/a/parts", "/things"])
def test_unknown_path(path: str, routes: Routes[str]) -> None:
    assert routes.match("GET", path) is None


def test_known_path_with_another_method_tells_which_it_takes(routes: Routes[str]) -> None:
    assert routes.match("DELETE", "/base/things/a") == Match(None, "", {}, ("GET", "PUT"))


def test_trailing_and_doubled_slashes_do_not_matter(routes: Routes[str]) -> None:
    assert handler(routes.match("GET", "//base///things/")) == "GET /things"


def test_what_is_declared_twice_is_an_error(routes: Routes[str]) -> None:
    with pytest.raises(ValueError, match="declared twice"):
        routes.add("GET", "/base/THINGS/{other}", "again")


def test_included_routes_are_found(routes: Routes[str]) -> None:
    table: Routes[str] = Routes()
    table.include(routes)
    assert handler(table.match("GET", "/base/things")) == "GET /things"
