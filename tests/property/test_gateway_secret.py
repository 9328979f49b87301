import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatehouse.gateway_secret import parse_gateway_secret
from gatehouse.problems import GatewayNotConfigured
from gatehouse.secret_value import Secret

FIELDS = ["gateway_name", "secret", "api_secret", "previous_secret", "previous_api_secret"]
VALUES = st.text(st.characters(exclude_categories=[]), min_size=20) | st.integers() | st.none() | st.lists(st.text())


@given(st.text())
def test_any_text_is_a_usable_secret_or_one_known_error(text: str) -> None:
    with pytest.raises(GatewayNotConfigured):
        parse_gateway_secret(Secret(text), allow_short=True)


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES), st.booleans())
def test_no_error_ever_quotes_a_value(members: dict[str, object], allow_short: bool) -> None:
    said, field = "", "SecretString"
    try:
        parse_gateway_secret(Secret(json.dumps(members)), allow_short=allow_short)
    except GatewayNotConfigured as error:
        said, field = str(error) + repr(error), error.field
    assert field in {*FIELDS, "SecretString"}
    assert not any(isinstance(value, str) and value in said for value in members.values())
