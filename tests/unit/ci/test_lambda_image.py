"""What .ci/lambda_image.py puts into the substitute for Lambda's image."""

import sys
from pathlib import Path

from lambda_image import packages, shared_libraries, standard_library


def test_the_substitute_contains_the_packages_of_lambda():
    files = packages(["awslambdaric", "boto3"])
    assert {"awslambdaric/bootstrap.py", "botocore/client.py", "six.py"} <= set(files)
    assert "pytest/__init__.py" not in files
    assert all(path.exists() for path in files.values())


def test_the_substitute_contains_the_libraries_of_its_binaries():
    found = shared_libraries([Path(sys.executable), Path(__file__)])
    assert {"libc.so.6", "libdl.so.2", "libm.so.6"} <= {path.name for path in found}
    assert all(path.exists() for path in found)


def test_the_substitute_omits_what_no_function_imports(tmp_path):
    for name in ("os.py", "json/tool.py", "test/support.py", "site-packages/x.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    kept = {str(path.relative_to(tmp_path)) for path in standard_library(tmp_path)}
    assert kept == {"os.py", "json/tool.py"}
