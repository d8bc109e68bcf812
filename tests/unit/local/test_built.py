import sys

import pytest

from local.built import BuildError, Handler, build_for_host, handlers, import_alone


@pytest.fixture
def built(tmp_path):
    """A function that needs `common` of a layer and `brought` of Lambda."""
    for name in ("Generate", "Layer/python", "runtime"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "Generate/app.py").write_text(
        "import brought, common\n\ndef handler(event, context): ...\n"
    )
    (tmp_path / "Layer/python/common.py").touch()
    (tmp_path / "runtime/brought.py").touch()
    (tmp_path / "template.yaml").write_text(
        """
        Globals: {Function: {Handler: app.handler}}
        Resources:
          Generate: {Type: AWS::Serverless::Function, Properties: {CodeUri: Generate}}
          Layer: {Type: AWS::Serverless::LayerVersion, Properties: {}}
        """
    )
    return tmp_path


def test_functions_and_layers_are_read_from_the_built_template(built):
    path = (built / "Generate", built / "Layer/python")
    assert handlers(built) == [Handler("Generate", "app.handler", path)]


def test_a_complete_build_imports_and_writes_no_bytecode(built):
    (handler,) = handlers(built)
    assert import_alone(sys.executable, handler, built / "runtime") is None
    assert list(built.rglob("*.pyc")) == []


def test_a_missing_module_is_named_with_its_handler(built):
    (built / "Layer/python/common.py").unlink()
    (handler,) = handlers(built)
    failure = import_alone(sys.executable, handler, built / "runtime")
    assert failure is not None
    assert failure.startswith("Generate: app.handler")
    assert failure.endswith("No module named 'common'")


def test_packages_of_this_environment_do_not_help(built):
    (built / "Generate/app.py").write_text("import pytest")
    (handler,) = handlers(built)
    failure = import_alone(sys.executable, handler, built / "runtime")
    assert failure is not None
    assert failure.endswith("No module named 'pytest'")


def test_a_missing_build_is_told(tmp_path):
    with pytest.raises(BuildError, match="run `sam build` first"):
        build_for_host(tmp_path)
