import py_compile

import pytest

from checks.build import BuildError, Handler, contents, import_alone, read
from tests.support.layers import elf


@pytest.fixture
def built(tmp_path):
    """Return a build: its function needs a layer's `common` and Lambda's `provided`."""
    for name in ("Generate", "Layer/python", "runtime"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "Generate/app.py").write_text(
        "import provided, common\n\ndef handler(event, context): ...\n"
    )
    for path in ("Layer/python/common.py", "runtime/provided.py"):
        (tmp_path / path).touch()
        py_compile.compile(
            str(tmp_path / path),
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    (tmp_path / "Layer/python/fast.so").write_bytes(elf("arm64"))
    (tmp_path / "template.yaml").write_text(
        """
        Globals: {Function: {Handler: app.handler}}
        Resources:
          Generate: {Type: AWS::Serverless::Function, Properties: {CodeUri: Generate}}
          Layer: {Type: AWS::Serverless::LayerVersion, Properties: {}}
          Queue: {Type: AWS::SQS::Queue}
        """
    )
    return tmp_path


def attempt(built):
    """Return why the only handler does not import alone, or None if it does."""
    (handler,) = read(built).handlers
    return import_alone(handler, (*read(built).layers, built / "runtime"))


def test_functions_layers_and_machine_are_read_from_the_build(built):
    build = read(built)
    assert build.handlers == (Handler("Generate", "app.handler", built / "Generate"),)
    assert build.layers == (built / "Layer/python",)
    assert build.machine == "arm64"


def test_a_complete_build_imports_and_writes_nothing(built):
    before = contents(built)
    assert attempt(built) is None
    assert contents(built) == before


def test_a_module_of_a_layer_without_bytecode_is_named(built):
    (bytecode,) = (built / "Layer/python/__pycache__").iterdir()
    bytecode.unlink()
    assert attempt(built) == f"Generate: had to compile {built}/Layer/python/common.py"


def test_a_missing_module_is_named_with_its_handler(built):
    (built / "Layer/python/common.py").unlink()
    failure = attempt(built)
    assert failure.startswith("Generate: app.handler")
    assert failure.endswith("No module named 'common'")


def test_packages_of_this_environment_do_not_help(built):
    (built / "Generate/app.py").write_text("import pytest")
    assert attempt(built).endswith("No module named 'pytest'")


def test_a_missing_build_is_reported(tmp_path):
    with pytest.raises(BuildError, match="run `sam build` first"):
        read(tmp_path)


def test_layers_without_compiled_files_are_reported(built):
    (built / "Layer/python/fast.so").unlink()
    with pytest.raises(BuildError, match="not for one of"):
        read(built)
