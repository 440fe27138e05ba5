# SPDX-License-Identifier: GPL-2.0-or-later
#
# Booth: build, try, test, install. `make help` lists the targets.
# Directories follow the GNU names and may be set on the command line, as may CARGO and
# CARGOFLAGS (a distribution that builds with its own crates sets the latter to --offline).

CARGO ?= cargo
CARGOFLAGS ?= --locked
export CARGO
export CARGOFLAGS

PREFIX ?= /usr/local
prefix ?= $(PREFIX)

LAYERS ?=

.PHONY: all help demo check check-long lint clean toolchain
.DELETE_ON_ERROR:

all:
	@scripts/toolchain check
	$(CARGO) build --release $(CARGOFLAGS)

help:
	@sed -n 's/^#: //p' Makefile

#: make             build the program (needs cargo and rustc 1.85 or newer, and cc)
#: make demo        install a toolchain if there is none, build, and show a failover
#: make check       the tests that need neither root nor much time
#: make check-long  the others, as root; LAYERS="NAME ..." for some of them (test/layers)
#: make lint        format, compiler and shell lints, manual pages
#: make clean       remove what was built

toolchain:
	scripts/toolchain install

demo:
	@scripts/toolchain install
	$(CARGO) build --release $(CARGOFLAGS)
	@scripts/demo

check:
	@scripts/toolchain check
	scripts/check quick

check-long:
	@scripts/toolchain check
	scripts/check long $(LAYERS)

lint:
	scripts/lint

clean:
	$(CARGO) clean
