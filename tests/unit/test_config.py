import pytest
from qr_service.config import ConfigurationError, Settings

from tests.support.environment import ENVIRONMENT


def test_settings_are_read_from_the_environment():
    settings = Settings.from_env({**ENVIRONMENT, "REDIS_TLS": "false"})
    assert settings.qr_bucket == "codes"
    assert settings.redis_port == 1
    assert settings.redis_tls is False
    assert settings.url_ttl_seconds == 900


NAMES = [
    name
    for name in ENVIRONMENT
    if not name.startswith(("POWERTOOLS", "AWS_", "LOG_LEVEL"))
]


@pytest.mark.parametrize("name", [*NAMES, "AWS_REGION"])
def test_a_missing_variable_is_named(name):
    environ = {key: value for key, value in ENVIRONMENT.items() if key != name}
    with pytest.raises(ConfigurationError, match=name):
        Settings.from_env(environ)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", ""),
        ("DATABASE_AUTH", "none"),
        ("REDIS_PORT", "0"),
        ("REDIS_PORT", "65536"),
        ("REDIS_PORT", "\uff16\uff13\uff17\uff19"),
        ("REDIS_TLS", "yes"),
        ("REDIS_AUTH", "password"),
        ("URL_TTL_SECONDS", "901"),
        ("MAX_EXPIRATION_HOURS", "87601"),
        ("TOMBSTONE_DAYS", "-1"),
        ("QR_BUCKET", ""),
    ],
)
def test_a_malformed_variable_is_named(name, value):
    with pytest.raises(ConfigurationError, match=name):
        Settings.from_env({**ENVIRONMENT, name: value})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"DEFAULT_EXPIRATION_HOURS": "48", "MAX_EXPIRATION_HOURS": "24"}, "DEFAULT"),
        ({"REDIS_AUTH": "iam"}, "REDIS_USERNAME"),
        ({"DATABASE_AUTH": "iam"}, "CA_BUNDLE"),
        ({"REDIS_TLS": "true"}, "CA_BUNDLE"),
    ],
)
def test_variables_must_be_consistent(changes, named):
    with pytest.raises(ConfigurationError, match=named):
        Settings.from_env({**ENVIRONMENT, **changes})
