# A short way to Meson and the tools. Every target installs the Debian packages that it needs and says so
# (tools/install-packages); each recipe is a script that also runs without make: tools/demo, tools/test, ...
BUILD ?= build
export BUILD DESTDIR

.PHONY: all demo test bench format install clean help
all:
	@tools/build

demo: ## the storm of packs/demo, sound and with a planted defect
	@tools/demo

test: ## unit and scenario tests
	@tools/test

bench: ## every measured claim
	@tools/bench

format: ## clang-format over every tracked C file
	@tools/format

install: all ## below /usr/local, or below $DESTDIR
	meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf $(BUILD)

help:
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## */ - /'
