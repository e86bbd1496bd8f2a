# ringmq: `make help` lists the targets. Sources are found by wildcard: a new file needs no change here.
#
#   make V=1         show the commands             make CC=clang                 into build/clang/
#   make WERROR=1    warnings are errors           make SAN=address,undefined    into build/san-address-undefined/
#   make DEPS=no     never install a package       make BUILD=folder             into another folder than build/

# ringmq.h says the same; the compiler warns of a difference.
VERSION := 0.1.0
SOVERSION := 0

BUILD ?= build
PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
SAN ?=
FUZZ_SECONDS ?= 60
PKG_CONFIG ?= pkg-config

# Each compiler and set of sanitizers has a folder of its own, so that objects never mix.
compiler := $(notdir $(lastword $(CC)))
comma := ,
OUT := $(BUILD)$(if $(filter-out cc gcc,$(compiler)),/$(compiler))$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))

# --- sources --------------------------------------------------------------------------------------------------------

protocol_src := $(wildcard protocol/*.c)
server_src   := $(sort $(shell find server -name '*.c'))
client_src   := $(wildcard client/*.c)
cli_src      := $(wildcard client/cli/*.c)
bench_src    := $(wildcard benchmarks/*.c)
inside_src   := $(wildcard benchmarks/broker/*.c)
replay_src   := $(wildcard benchmarks/replay/*.c)

# A test is a program of its own; what else lies beside it is shared by all of them.
test_src      := $(wildcard $(foreach d,unit sim model,tests/$(d)/test_*.c))
fuzz_src      := $(wildcard tests/fuzz/fuzz_*.c)
support_src   := $(filter-out $(test_src) $(fuzz_src),\
                   $(wildcard $(foreach d,support unit sim model fuzz,tests/$(d)/*.c)))

objects = $(patsubst %.c,$(OUT)/obj/%.o,$(1))

library_obj := $(call objects,$(client_src) $(protocol_src))
# Of the benchmark what needs no server.
bench_tested := $(patsubst %,benchmarks/%.c,histogram distribution ledger)
tested_obj  := $(call objects,$(filter-out server/main.c,$(server_src)) $(bench_tested)) $(library_obj)
all_obj     := $(call objects,$(protocol_src) $(server_src) $(client_src) $(cli_src) $(bench_src) $(inside_src) \
                 $(replay_src) $(test_src) $(fuzz_src) $(support_src))

programs  := $(addprefix $(OUT)/,$(if $(filter server/main.c,$(server_src)),ringmq-server) \
               $(if $(cli_src),ringmq-cli) $(if $(bench_src),ringmq-bench))
libraries := $(addprefix $(OUT)/,$(if $(client_src),libringmq.a libringmq.so.$(SOVERSION)))
tests     := $(patsubst %.c,$(OUT)/%,$(test_src))
fuzzers   := $(patsubst %.c,$(OUT)/%,$(fuzz_src))

# --- packages -------------------------------------------------------------------------------------------------------

# The stamps are empty makefiles: make brings them up to date first, by installing what is missing, and then starts over
# with pkg-config finding everything.
goals    := $(or $(MAKECMDGOALS),all)
builds   := $(filter-out check fuzz mutants fmt fmt-check layers uninstall deps clean help,$(goals))
packages := $(if $(builds),build) $(if $(filter test test-programs model fuzz-programs mutants crash damage growth bench-log,$(goals)),test)
ifneq ($(DEPS),no)
include $(patsubst %,$(OUT)/packages-%.mk,$(packages))
endif

$(OUT)/packages-%.mk: scripts/deps
	@mkdir -p $(@D)
	@scripts/deps $*
	@touch $@

package = $(shell $(PKG_CONFIG) --$(1) $(2) 2>/dev/null)
msgpack := $(shell $(PKG_CONFIG) --exists msgpack-c 2>/dev/null && echo msgpack-c || echo msgpack)

# --- flags ----------------------------------------------------------------------------------------------------------

warnings := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes $(if $(filter 1,$(WERROR)),-Werror)
sanitize := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
includes := $(call package,cflags,$(msgpack) libedit)
# The server is optimised as a whole: small functions of one file are inlined into others. Its objects carry both forms, so
# that tests link without. clang has no such objects.
whole    := $(if $(filter cc gcc,$(compiler)),$(if $(SAN),,-flto=auto))
compile  := -std=c11 -D_GNU_SOURCE -DRINGMQ_VERSION=\"$(VERSION)\" -I. $(includes) $(warnings) \
            -fPIC -fno-semantic-interposition -pthread $(sanitize) $(CPPFLAGS) $(CFLAGS)
link     := -pthread $(sanitize) $(if $(whole),-fno-lto) -Wl,--as-needed $(LDFLAGS)

msgpack_libs := $(call package,libs,$(msgpack))
edit_libs    := $(call package,libs,libedit)
cmocka_libs  := $(call package,libs,cmocka)
server_libs  := -lev -lxxhash -lcrypto -lm

# --- building -------------------------------------------------------------------------------------------------------

Q   := $(if $(filter 1,$(V)),,@)
say  = $(if $(Q),@printf '  %-7s %s\n' $(1) $(2))
ld   = $(Q)mkdir -p $(@D) && $(CC) $(link) -o $@ $(filter %.o,$^) $(filter %.a,$^)

.PHONY: all run test model check fuzz bench bench-broker mutants fmt fmt-check layers headers install uninstall deps clean
.PHONY: help FORCE crash damage growth bench-log replay
.PHONY: test-programs fuzz-programs
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

all: $(programs) $(libraries) ## build the programs and the library

$(call objects,$(server_src) $(protocol_src)): private compile += $(if $(whole),$(whole) -ffat-lto-objects)

$(OUT)/obj/%.o: %.c $(OUT)/flags
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(compile) -MMD -MP -c -o $@ $<

$(OUT)/ringmq-server $(OUT)/replay: private link := $(filter-out -fno-lto,$(link)) $(whole) $(if $(whole),$(CFLAGS))
$(OUT)/ringmq-server: $(call objects,$(server_src) $(protocol_src)) $(OUT)/files
	$(call say,LD,$@)
	$(ld) $(server_libs) $(msgpack_libs)

$(OUT)/ringmq-cli: $(call objects,$(cli_src)) $(library_obj) $(OUT)/files
	$(call say,LD,$@)
	$(ld) $(edit_libs) -lm $(msgpack_libs)

$(OUT)/ringmq-bench: $(call objects,$(bench_src)) $(library_obj) $(OUT)/files
	$(call say,LD,$@)
	$(ld) -lm $(msgpack_libs)

# The broker measured from inside; a tool for who works on it, not installed.
$(OUT)/bench-broker: $(call objects,$(inside_src) $(wildcard server/broker/*.c)) $(OUT)/files
	$(call say,LD,$@)
	$(ld) $(server_libs)

# A recorded conversation once more, built as the server is; not installed.
$(OUT)/replay: $(call objects,$(replay_src) benchmarks/broker/count.c) \
               $(call objects,$(filter-out server/main.c,$(server_src)) $(protocol_src)) $(OUT)/files
	$(call say,LD,$@)
	$(ld) $(server_libs) $(msgpack_libs)

# Of the library only names that begin with ringmq_ can be seen from outside.
$(OUT)/libringmq.so.$(SOVERSION): $(library_obj) client/ringmq.map $(OUT)/files
	$(call say,LD,$@)
	$(ld) -shared -Wl,-soname,$(@F) -Wl,--version-script=client/ringmq.map $(if $(SAN),,-Wl,-z,defs) $(msgpack_libs)

$(OUT)/libringmq.a: $(library_obj) $(OUT)/files
	$(call say,AR,$@)
	$(Q)$(CC) -r -nostdlib $(if $(whole),-fno-lto) -o $(OUT)/ringmq.o $(filter %.o,$^)
	$(Q)objcopy --wildcard --keep-global-symbol='ringmq_*' --remove-section='.gnu.lto_*' $(OUT)/ringmq.o
	$(Q)rm -f $@ && $(AR) qcs $@ $(OUT)/ringmq.o

# Everything that tests share: what is tested, and their own support.
$(OUT)/tested.a: $(tested_obj) $(call objects,$(support_src)) $(OUT)/files
	$(Q)rm -f $@ && $(AR) qcs $@ $(filter %.o,$^)

$(tests): $(OUT)/%: $(OUT)/obj/%.o $(OUT)/tested.a $(OUT)/files
	$(call say,LD,$@)
	$(ld) $(cmocka_libs) $(server_libs) $(msgpack_libs)

# Every allocation goes through the test, which has some of them fail.
$(OUT)/tests/unit/test_allocations: private link += \
    -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=pool_take

$(fuzzers): $(OUT)/%: $(OUT)/obj/%.o $(OUT)/tested.a $(OUT)/files
	$(call say,LD,$@)
	$(ld) -fsanitize=fuzzer $(cmocka_libs) $(server_libs) $(msgpack_libs)

# Files that change only when their contents would: the flags (everything is rebuilt) and the sources (all is relinked).
$(OUT)/flags: contents := $(CC) $(compile) $(link)
$(OUT)/files: contents := $(all_obj)
$(OUT)/flags $(OUT)/files: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(contents)' | cmp -s - $@ || printf '%s\n' '$(contents)' >$@

-include $(wildcard $(all_obj:.o=.d))

# --- running and checking -------------------------------------------------------------------------------------------

run: $(OUT)/ringmq-server ## build and start a server with conf/ringmq.conf (ARGS= more options)
	@exec $(OUT)/ringmq-server conf/ringmq.conf $(ARGS)

test-programs: $(tests) $(OUT)/bench-broker $(OUT)/replay
fuzz-programs: $(fuzzers)

test: all test-programs ## unit, simulation, model and end-to-end tests (K= only pytest names that match)
	@SAN='$(SAN)' $$(scripts/deps python) scripts/run-tests $(OUT) $(tests) '$(OUT)/bench-broker quick' \
		'$(OUT)/replay check --bounds benchmarks/replay/bounds'

N ?= 100000
SEED ?= 1
model: $(OUT)/tests/model/test_model ## N= (100000) random stories from SEED= on against the reference model
	@MODEL_STORIES='$(N)' MODEL_SEED='$(SEED)' $<

check: ## everything that CI runs: tests, sanitizers, clang, layers, headers, format, mutants, fuzzing
	+@MAKE='$(MAKE)' BUILD='$(BUILD)' scripts/check

fuzz: ## run each fuzz target for FUZZ_SECONDS
	@$(if $(filter no,$(DEPS)),,scripts/deps fuzz)
	+@$(MAKE) --no-print-directory CC=clang SAN=fuzzer-no-link,address,undefined OUT=$(BUILD)/fuzz fuzz-programs
	@scripts/run-fuzz $(BUILD) $(FUZZ_SECONDS) $(patsubst %.c,$(BUILD)/fuzz/%,$(fuzz_src))

bench: all ## a short benchmark against a server of its own (ARGS= options of ringmq-bench)
	@scripts/run-bench $(OUT) $(ARGS)

bench-broker: $(OUT)/bench-broker ## the broker alone: costs of deadlines, groups and memory, and their bounds
	@GLIBC_TUNABLES=glibc.malloc.hugetlb=1 $<

replay: $(OUT)/replay ## instructions of a message in decoder, broker and encoder, and their bounds (ARGS= options)
	@$< --bounds benchmarks/replay/bounds $(ARGS)

KILLS ?= 200
SECONDS ?= 10
python = RINGMQ_BUILD='$(abspath $(OUT))' RINGMQ_SERVER='$(abspath $(OUT))/ringmq-server' $$(scripts/deps python) -B

crash: all ## KILLS= (200) kill -9 of a server under load from SEED= on, against a ledger of what it confirmed
	@$(python) tests/crash/crash.py --kills $(KILLS) --seed $(SEED)

DAMAGE ?= 20
damage: $(OUT)/tests/unit/test_wal_damage ## logs cut, flipped and overwritten at every place, DAMAGE= (20) different loads
	@WAL_DAMAGE_SEEDS=$(DAMAGE) $<

growth: all ## the log's size under jobs that come back and jobs that stay, beside beanstalkd's (ARGS= options)
	@$(python) tests/growth/growth.py $(ARGS)

bench-log: all bench-floor ## what the log costs beside memory, a bare disk and a bare relay, SECONDS= (10) a run (ARGS= options)
	@$(python) benchmarks/log/bench-log $(OUT) --seconds $(SECONDS) $(ARGS)

mutants: ## check that every deliberate bug of tests/mutants is caught by its test
	@CC='$(CC)' scripts/mutants $(ARGS)

fmt: ## format the sources with clang-format
	@scripts/format

fmt-check:
	@scripts/format --check

layers: ## check which folder includes what
	@scripts/layers

headers: ## check that every header compiles alone
	@scripts/headers $(CC) $(compile)

# --- installing -----------------------------------------------------------------------------------------------------

bindir  := $(DESTDIR)$(PREFIX)/bin
libdir  := $(DESTDIR)$(PREFIX)/lib
datadir := $(DESTDIR)$(PREFIX)/share
conf    := $(DESTDIR)/etc/ringmq/ringmq.conf
man1    := $(shell find client benchmarks -name '*.1')
man8    := $(shell find server -name '*.8')
fill    := sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@MSGPACK@|$(msgpack)|'
installed = $(addprefix $(bindir)/,$(notdir $(programs))) \
            $(addprefix $(libdir)/,libringmq.a libringmq.so libringmq.so.$(SOVERSION) pkgconfig/ringmq.pc) \
            $(libdir)/systemd/system/ringmq-server.service $(DESTDIR)$(PREFIX)/include/ringmq.h \
            $(addprefix $(datadir)/man/man1/,$(notdir $(man1))) $(addprefix $(datadir)/man/man8/,$(notdir $(man8))) \
            $(datadir)/bash-completion/completions/ringmq-cli

install: all ## install below PREFIX (default /usr/local); DESTDIR is honoured
	install -d $(bindir) $(libdir)/pkgconfig $(libdir)/systemd/system $(DESTDIR)$(PREFIX)/include
	install -d $(datadir)/man/man1 $(datadir)/man/man8 $(datadir)/bash-completion/completions
	install -m 755 $(programs) $(bindir)
	install -m 644 $(OUT)/libringmq.a $(OUT)/libringmq.so.$(SOVERSION) $(libdir)
	ln -sf libringmq.so.$(SOVERSION) $(libdir)/libringmq.so
	install -m 644 client/ringmq.h $(DESTDIR)$(PREFIX)/include
	$(fill) client/ringmq.pc.in >$(libdir)/pkgconfig/ringmq.pc
	$(fill) conf/ringmq-server.service >$(libdir)/systemd/system/ringmq-server.service
	chmod 644 $(libdir)/pkgconfig/ringmq.pc $(libdir)/systemd/system/ringmq-server.service
	$(if $(man1),install -m 644 $(man1) $(datadir)/man/man1)
	$(if $(man8),install -m 644 $(man8) $(datadir)/man/man8)
	install -m 644 client/cli/ringmq-cli.bash $(datadir)/bash-completion/completions/ringmq-cli
	test -e $(conf) || install -D -m 644 conf/ringmq.conf $(conf)
	$(if $(DESTDIR),,-ldconfig)

uninstall: ## remove what install put there, except the configuration
	rm -f $(installed)

deps: ## install the packages for building and testing, or say which
	@scripts/deps test

clean: ## remove build/
	rm -rf $(BUILD)

help: ## this list
	@echo 'ringmq $(VERSION)'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1 \2/p' Makefile | \
		while read -r name what; do printf '  %-12s  %s\n' $$name "$$what"; done

# --- the floors: what the machine gives to programs that do nothing --------------------------------------------------

floors    := floor-sync floor-relay
floor_obj := $(call objects,$(wildcard benchmarks/floor/*.c))

.PHONY: bench-floor
bench-floor: $(addprefix $(OUT)/,$(floors)) ## build floor-sync and floor-relay: bare fdatasync and bare round trips

$(addprefix $(OUT)/,$(floors)): $(OUT)/floor-%: $(OUT)/obj/benchmarks/floor/%.o $(OUT)/obj/benchmarks/histogram.o
	$(call say,LD,$@)
	$(ld) -lm

-include $(wildcard $(floor_obj:.o=.d))

# --- the comparison with other brokers: its clients need libraries that only it installs ----------------------------

compared    := $(addprefix $(OUT)/compare-,redis-lists redis-streams nats-core jetstream rabbitmq beanstalkd)
compare_obj := $(call objects,$(wildcard benchmarks/compare/*.c))
of_peer      = $(call objects,$(patsubst %,benchmarks/compare/%.c,$(1)))

.PHONY: compare
compare: ## beside RabbitMQ, beanstalkd, Redis and NATS, which it installs (ARGS= options, such as --quick)
	@benchmarks/compare/compare --build '$(OUT)' $(ARGS)

$(OUT)/compare-redis-lists:   $(call of_peer,redis redis_lists)
$(OUT)/compare-redis-streams: $(call of_peer,redis redis_streams)
$(OUT)/compare-nats-core:     $(call of_peer,nats nats_core)
$(OUT)/compare-jetstream:     $(call of_peer,nats jetstream)
$(OUT)/compare-rabbitmq:      $(call of_peer,rabbitmq)
$(OUT)/compare-beanstalkd:    $(call of_peer,beanstalkd)

# Libraries that are not there are those of other clients, and those that a client does not use are left out.
$(compared): $(call of_peer,main load process) $(call objects,benchmarks/ledger.c benchmarks/histogram.c)
	$(call say,LD,$@)
	$(ld) -lm $(foreach library,hiredis libnats librabbitmq,$(call package,libs,$(library)))

-include $(wildcard $(compare_obj:.o=.d))
