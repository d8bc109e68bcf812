# Builds the layer of third-party packages for one machine (MACHINE, set by the Makefiles
# in arm64/ and x86_64/) on any host with python3.13 and a python3 that has pip.
# SAM runs it in a copy of this folder, in which the link requirements.txt has been replaced
# by the file, and expects python/ in ARTIFACTS_DIR.

PACKAGES := $(ARTIFACTS_DIR)/python

# pip accepts a wheel only for the tags it is given, and the packages differ in theirs.
PLATFORMS := $(foreach tag,_2_28 _2_27 2014 _2_17,--platform manylinux$(tag)_$(MACHINE))

# --no-deps: requirements.txt is complete, and pip would check the conditions of further
#   requirements against the host's Python.
# unchecked-hash: Python uses the files without comparing the dates of their sources,
#   which zipping changes. Lambda's disk is read-only: what is not compiled here, by the
#   runtime's own version of Python, is compiled at each cold start.
.PHONY: build-DependenciesLayer
build-DependenciesLayer:
	python3 -m pip install --quiet --disable-pip-version-check --no-compile \
	  --only-binary=:all: --implementation cp --python-version 3.13 $(PLATFORMS) \
	  --no-deps --require-hashes --target "$(PACKAGES)" --requirement requirements.txt
	rm -rf "$(PACKAGES)/bin" "$(PACKAGES)/qrcode/tests"
	find "$(PACKAGES)" -name '*.pyi' -delete
	python3.13 -m compileall -q --invalidation-mode unchecked-hash \
	  -s "$(ARTIFACTS_DIR)" -p /opt "$(PACKAGES)"
