# SPDX-License-Identifier: GPL-2.0-or-later
#
# Booth: build, try, test, install, package. `make help` lists the targets.
#
# Directories follow the GNU names and can be set on the command line, as can CARGO and
# CARGOFLAGS: a distribution that builds with its own crates sets CARGOFLAGS=--offline.

CARGO ?= cargo
CARGOFLAGS ?= --locked
export CARGO
export CARGOFLAGS

# Some directories do not follow the prefix: the program always reads /etc/booth and
# /run/booth, Pacemaker looks for agents only in /usr/lib/ocf, and firewalld for services only
# in /usr/lib/firewalld.
DESTDIR ?=
PREFIX ?= /usr/local
prefix ?= $(PREFIX)
exec_prefix ?= $(prefix)
sbindir ?= $(exec_prefix)/sbin
datarootdir ?= $(prefix)/share
datadir ?= $(datarootdir)
docdir ?= $(datarootdir)/doc/booth
mandir ?= $(datarootdir)/man
sysconfdir ?= /etc
initdir ?= $(sysconfdir)/init.d
unitdir ?= $(prefix)/lib/systemd/system
tmpfilesdir ?= $(prefix)/lib/tmpfiles.d
sysusersdir ?= $(prefix)/lib/sysusers.d
ocfdir ?= /usr/lib/ocf
firewalldir ?= /usr/lib/firewalld/services
pkgconfigdir ?= $(datadir)/pkgconfig
completiondir ?= $(datadir)/bash-completion/completions
zshcompletiondir ?= $(datadir)/zsh/site-functions
fishcompletiondir ?= $(datadir)/fish/vendor_completions.d
boothdir ?= $(datadir)/booth
# Where Wireshark looks for scripts depends on how it was built; `tshark -G folders` says it.
wiresharkdir ?= $(exec_prefix)/lib/wireshark/plugins
plugindir ?= $(prefix)/lib/nagios/plugins

# Units, scripts and make itself only support plain names of directories.
directories := prefix exec_prefix sbindir datadir docdir mandir sysconfdir initdir unitdir \
	tmpfilesdir sysusersdir ocfdir firewalldir pkgconfigdir completiondir zshcompletiondir \
	fishcompletiondir boothdir wiresharkdir plugindir
odd := | & ; < > ( ) [ ] { } * ? ! ~ ' " ` \ % @ $$ \#
is_odd = $(strip $(filter-out 0 1,$(words $(1))) $(foreach one,$(odd),$(findstring $(one),$(1))))
is_relative = $(if $(1),$(if $(filter /%,$(1)),,yes))
only_plain_names = $(foreach name,$(directories),\
	$(if $(call is_odd,$($(name))),$(error $(name)=$($(name)): must not contain blanks or special characters))\
	$(if $(call is_relative,$($(name))),$(error $(name)=$($(name)): must begin with /)))\
	$(if $(findstring ',$(DESTDIR)),$(error DESTDIR=$(DESTDIR): must not contain a quote))

INSTALL ?= install
CARGO_TARGET_DIR ?= target
# The program that `make` builds and `make install` installs.
PROGRAM ?= $(CARGO_TARGET_DIR)/release/booth

version := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' Cargo.toml | head -n 1)
manuals := $(wildcard man/*.5 man/*.8)
manuals_in = $(foreach page,$(manuals),$(mandir)/man$(subst .,,$(suffix $(page)))/$(notdir $(page)))

# The layers of test/layers that `make check-long` runs; if empty, all of them.
LAYERS ?=

.PHONY: all help demo check check-package check-long lint install uninstall dist deb dsc clean toolchain
.DELETE_ON_ERROR:

all:
	@scripts/toolchain check
	$(CARGO) build --release --package booth $(CARGOFLAGS)

help:
	@sed -n 's/^#: //p' Makefile

#: make             build the program (needs cargo and rustc 1.85 or newer, and cc)
#: make demo        install a toolchain if there is none, build, and show a failover
#: make check       run the tests that need neither root nor much time
#: make check-package  run those tests that suit a package build: no clock, no network
#: make check-long  run the other tests, as root; LAYERS="NAME ..." for some (test/layers)
#: make lint        check formatting, code, shell scripts and manual pages
#: make install     install; respects DESTDIR, PREFIX and the usual directory variables
#: make uninstall   remove what was installed, but not the configurations
#: make dist        build a source tarball from the last commit
#: make deb         build Debian packages, on Debian 13 with its own crates; first, as root:
#:                  apt-get build-dep ./scripts
#: make dsc         build a Debian source package
#: make clean       remove what was built

toolchain:
	scripts/toolchain install

demo:
	@scripts/toolchain install
	$(CARGO) build --release --package booth $(CARGOFLAGS)
	@scripts/demo

check:
	@scripts/toolchain check
	scripts/check quick

check-package:
	scripts/check package

check-long:
	@scripts/toolchain check
	scripts/check long $(LAYERS)

lint:
	scripts/lint

# Built only if it does not exist, so that `make install` can run as root without a compiler
# after `make` as a user.
$(PROGRAM):
	$(MAKE) all

# $(call put,MODE,FILE,DIRECTORY[,NAME]): installs a file.
# $(call fill,MODE,FILE.in,DIRECTORY,NAME): the same, with the directories filled in.
# $(call text,MODE,FILE,DIRECTORY): the same with a text that names them as PREFIX=/usr has them.
put = $(INSTALL) -D -m $(1) '$(2)' '$(DESTDIR)$(3)/$(or $(4),$(notdir $(2)))'
fill = sed $(places) '$(2)' | $(INSTALL) -D -m $(1) /dev/stdin '$(DESTDIR)$(3)/$(4)'
places = -e 's|@prefix@|$(prefix)|g' -e 's|@exec_prefix@|$(exec_prefix)|g' \
	-e 's|@sbindir@|$(sbindir)|g' -e 's|@sysconfdir@|$(sysconfdir)|g' \
	-e 's|@boothdir@|$(boothdir)|g' -e 's|@version@|$(version)|g'
text = sed -e 's|/usr/share/booth/|$(boothdir)/|g' '$(2)' | \
	$(INSTALL) -D -m $(1) /dev/stdin '$(DESTDIR)$(3)/$(notdir $(2))'

install: $(PROGRAM)
	$(only_plain_names)
	$(call put,755,$(PROGRAM),$(sbindir),boothd)
	ln -sf boothd '$(DESTDIR)$(sbindir)/booth'
	ln -sf boothd '$(DESTDIR)$(sbindir)/geostore'
	$(call put,755,scripts/booth-keygen,$(sbindir))
	$(call text,755,scripts/service-runnable,$(boothdir))
	$(foreach page,$(manuals),$(call text,644,$(page),$(mandir)/man$(subst .,,$(suffix $(page))))$(newline))
	ln -sf boothd.8 '$(DESTDIR)$(mandir)/man8/booth.8'
	ln -sfr '$(DESTDIR)$(sbindir)/boothd' '$(DESTDIR)$(boothdir)/booth-after-boot'
	$(call text,644,booth.conf.example,$(sysconfdir)/booth)
	$(call fill,644,scripts/systemd/booth@.service.in,$(unitdir),booth@.service)
	$(call fill,644,scripts/systemd/booth-arbitrator.service.in,$(unitdir),booth-arbitrator.service)
	$(call fill,644,scripts/systemd/booth-after-boot.service.in,$(unitdir),booth-after-boot.service)
	$(call fill,644,scripts/systemd/booth-metrics.service.in,$(unitdir),booth-metrics.service)
	$(call put,644,scripts/systemd/booth-metrics.timer,$(unitdir))
	$(call fill,644,scripts/systemd/booth-exporter.service.in,$(unitdir),booth-exporter.service)
	mkdir -p '$(DESTDIR)$(unitdir)/sysinit.target.wants'
	ln -sf ../booth-after-boot.service '$(DESTDIR)$(unitdir)/sysinit.target.wants/'
	$(call put,644,scripts/systemd/booth.tmpfiles,$(tmpfilesdir),booth.conf)
	$(call put,644,scripts/systemd/booth.sysusers,$(sysusersdir),booth.conf)
	$(call fill,755,scripts/init/booth-arbitrator.in,$(initdir),booth-arbitrator)
	$(call put,755,scripts/ocf/booth-site,$(ocfdir)/resource.d/pacemaker)
	$(call put,755,scripts/ocf/geostore,$(ocfdir)/resource.d/booth)
	$(call put,755,scripts/ocf/sharedrsc,$(ocfdir)/resource.d/booth)
	$(call put,644,scripts/ocf/geo_attr.sh,$(ocfdir)/lib/booth)
	$(call put,644,scripts/firewalld.xml,$(firewalldir),booth.xml)
	$(call fill,644,scripts/booth.pc.in,$(pkgconfigdir),booth.pc)
	$(call put,644,scripts/bash-completion,$(completiondir),booth)
	ln -sf booth '$(DESTDIR)$(completiondir)/boothd'
	ln -sf booth '$(DESTDIR)$(completiondir)/geostore'
	$(call put,644,scripts/zsh-completion,$(zshcompletiondir),_booth)
	$(call put,644,scripts/fish-completion,$(fishcompletiondir),booth.fish)
	ln -sf booth.fish '$(DESTDIR)$(fishcompletiondir)/boothd.fish'
	ln -sf booth.fish '$(DESTDIR)$(fishcompletiondir)/geostore.fish'
	$(call put,644,scripts/report.schema.json,$(boothdir))
	$(call put,644,scripts/wireshark/booth.lua,$(wiresharkdir))
	mkdir -p '$(DESTDIR)$(sysconfdir)/booth/alert.d'
	chmod 755 '$(DESTDIR)$(sysconfdir)/booth/alert.d'
	$(call put,755,scripts/alerts/mail,$(docdir)/alerts)
	$(call put,755,scripts/alerts/syslog,$(docdir)/alerts)
	$(call put,755,scripts/alerts/webhook,$(docdir)/alerts)
	$(call put,644,scripts/monitoring/booth-rules.yml,$(docdir)/monitoring)
	$(call put,644,scripts/monitoring/booth-dashboard.json,$(docdir)/monitoring)
	mkdir -p '$(DESTDIR)$(plugindir)'
	ln -sfr '$(DESTDIR)$(sbindir)/boothd' '$(DESTDIR)$(plugindir)/check_booth'
	$(call put,644,README,$(docdir))
	$(call put,644,COPYING,$(docdir))

installed_files = $(addprefix $(sbindir)/,boothd booth geostore booth-keygen) \
	$(boothdir)/service-runnable $(boothdir)/booth-after-boot $(manuals_in) $(mandir)/man8/booth.8 \
	$(sysconfdir)/booth/booth.conf.example \
	$(unitdir)/booth@.service $(unitdir)/booth-arbitrator.service \
	$(unitdir)/booth-after-boot.service \
	$(unitdir)/booth-metrics.service $(unitdir)/booth-metrics.timer \
	$(unitdir)/booth-exporter.service $(plugindir)/check_booth \
	$(unitdir)/sysinit.target.wants/booth-after-boot.service $(tmpfilesdir)/booth.conf \
	$(sysusersdir)/booth.conf $(wiresharkdir)/booth.lua \
	$(initdir)/booth-arbitrator $(ocfdir)/resource.d/pacemaker/booth-site \
	$(ocfdir)/resource.d/booth/geostore $(ocfdir)/resource.d/booth/sharedrsc \
	$(ocfdir)/lib/booth/geo_attr.sh $(firewalldir)/booth.xml $(pkgconfigdir)/booth.pc \
	$(addprefix $(completiondir)/,booth boothd geostore) $(zshcompletiondir)/_booth \
	$(patsubst %,$(fishcompletiondir)/%.fish,booth boothd geostore) $(docdir)/README $(docdir)/COPYING \
	$(boothdir)/report.schema.json $(addprefix $(docdir)/alerts/,mail syslog webhook) \
	$(addprefix $(docdir)/monitoring/,booth-rules.yml booth-dashboard.json)
# Directories that belong to Booth only. They are removed if they are empty.
installed_directories = $(boothdir) $(sysconfdir)/booth/alert.d $(sysconfdir)/booth \
	$(ocfdir)/resource.d/booth $(ocfdir)/lib/booth $(docdir)/alerts $(docdir)/monitoring \
	$(docdir)

define newline


endef

uninstall:
	$(only_plain_names)
	rm -f $(foreach file,$(installed_files),'$(DESTDIR)$(file)')
	for directory in $(foreach one,$(installed_directories),'$(DESTDIR)$(one)'); do \
		[ ! -d "$$directory" ] || rmdir --ignore-fail-on-non-empty "$$directory"; \
	done

# The same commit gives the same bytes: names, owners and times come from git, and gzip
# writes no time of its own.
dist:
	mkdir -p '$(CARGO_TARGET_DIR)/dist'
	git archive --format=tar --prefix='booth-$(version)/' HEAD | gzip -n -9 \
		>'$(CARGO_TARGET_DIR)/dist/booth-$(version).tar.gz'
	@echo '$(CARGO_TARGET_DIR)/dist/booth-$(version).tar.gz'

deb:
	scripts/debian/build '$(CARGO_TARGET_DIR)/deb'

dsc:
	scripts/debian/build --source '$(CARGO_TARGET_DIR)/deb'

clean:
	$(CARGO) clean
