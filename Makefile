# `make run` does the main job and shows it; `make test` runs the tests. Both do all set-up.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# One more than there are cores: a test that waits for the disk leaves its core to another.
BIOME := node_modules/.bin/biome
SHELLS := .ci/run $(addprefix systemd/debian/,preinst postinst prerm postrm) tests/campaigns/vm/image.sh \
  $(filter-out %.py,$(wildcard systemd/libexec/*))
TEMPLATES := vault/web/templates dockd/display/kiosk/page.html
PROCESSES ?= $(shell expr $$(nproc) + 1)

.PHONY: run screenshots test coverage lint check format bench crash mutants custody clocks tamper scale obligations fuzz soak usb-big vm-test vm-faults vm-life upgrade-cuts kills power-cuts yanks vm-losses deb lock setup clean

run: $(READY)
	HEADLESS=$(HEADLESS) $(BIN)/python -m tests.e2e.demo

# Every page in both languages, as pictures in run/screenshots.
screenshots: $(READY) tools
	$(BIN)/python -m tests.support.screenshots run/screenshots

# The campaigns' slices come first, in the order of the folders: a file of one long test at the end would leave a core idle.
test: $(READY) tools
	$(BIN)/pytest -q -n $(PROCESSES) --dist loadfile --no-loadscope-reorder

# Every check that runs nothing of ours; each line is a hook of .pre-commit-config.yaml, too.
lint: $(READY) $(BIOME) lint-tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	shellcheck $(SHELLS)
	$(BIN)/djlint --lint --quiet $(TEMPLATES)
	$(BIOME) check --error-on-warnings

# The checks and the tests of single modules: what a change has to pass before it is handed in.
check: lint
	$(BIN)/pytest -q -n $(PROCESSES) --dist loadfile tests/unit tests/house

# `make test` with the lines and branches counted, in the processes that the tests start as well. Ends with an error below the floor that
# pyproject.toml states.
coverage: $(READY) tools
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -n $(PROCESSES) --dist loadfile --no-loadscope-reorder $(TESTS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

# Ratios against cp, rsync, age, restic and borg in one run, on this disk with cold caches. GIB and ROUNDS are arguments.
GIB ?= 2
ROUNDS ?= 5
bench: $(READY)
	$(BIN)/python -m tests.campaigns.bench speed --gib $(GIB) --rounds $(ROUNDS)
	$(BIN)/python -m tests.campaigns.bench memory
	$(BIN)/python -m tests.campaigns.bench latency
	$(BIN)/python -m tests.campaigns.bench playback
	$(BIN)/python -m tests.campaigns.bench usb --gib $(GIB) --rounds $(ROUNDS)

# Kills and errors at every durable system call, and the explorer of what power cuts may leave. Counts are arguments.
PAIRS ?= 200
IMAGES ?= 21000
POINTS ?= all
crash: $(READY) tools
	$(BIN)/python -m tests.campaigns.crash.syscalls --kills all --pairs $(PAIRS) --errors all
	$(BIN)/python -m tests.campaigns.crash.explorer --images $(IMAGES) --processes $(PROCESSES)
	$(BIN)/python -m tests.campaigns.crash.unplug --points $(POINTS)
	$(BIN)/python -m tests.campaigns.crash.migration --points $(POINTS)

# Planted mistakes, each of which some test has to catch.
mutants: $(READY) tools
	$(BIN)/python -m tests.campaigns.crash.mutants

# Bad inputs for every parser of untrusted bytes. The count is an argument.
INPUTS ?= 1000000
fuzz: $(READY)
	$(BIN)/python -m tests.campaigns.fuzz --inputs $(INPUTS) --seed 1 --processes $(PROCESSES)

# Random clock histories, tamperings of the log, and the custody's state machine. COUNT and STEPS are arguments.
clocks: $(READY)
	$(BIN)/python -m tests.campaigns.crash.clocks --count $(or $(COUNT),1000)

scale: $(READY)
	$(BIN)/python -m tests.campaigns.bench scale

obligations: $(READY)
	$(BIN)/python -m tests.house.obligations --strict

tamper: $(READY)
	$(BIN)/python -m tests.campaigns.crash.tamper --count $(or $(COUNT),10000)

custody: $(READY)
	$(BIN)/python -m tests.campaigns.crash.custody --runs $(or $(COUNT),2000) --steps $(or $(STEPS),50) --processes $(PROCESSES)

# A camera docked and undocked, again and again, with file descriptors, threads and memory watched. The count is an argument.
CYCLES ?= 2000
soak: $(READY)
	$(BIN)/python -m tests.campaigns.crash.soak --cycles $(CYCLES)

# Objects of 4 GiB and more over USB, every byte of them.
usb-big: $(READY)
	$(BIN)/python -m tests.campaigns.bench.usb_big

# A real kernel and programs that nobody here wrote, in a virtual machine. The built guest is kept in ~/.cache/dock-vault/vm;
# the first run takes two minutes, any other one.
vm-test: $(READY) vm-tools
	PATH="$$PATH:$(SBIN)" $(BIN)/python -m tests.campaigns.vm

# Hangs that the watchdog ends, slowness that it leaves alone, and a port that kills its readers.
vm-faults: $(READY) vm-tools
	PATH="$$PATH:$(SBIN)" $(BIN)/python -m tests.campaigns.vm --faults

# The life of a docking PC in that machine: first start, ceremony, backup, restore on another PC, upgrade, downgrade, removal; and
# power cuts in the middle of the upgrade. The count of them is an argument.
vm-life: $(READY) vm-tools
	PATH="$$PATH:$(SBIN)" $(BIN)/python -m tests.campaigns.vm.life
	PATH="$$PATH:$(SBIN)" $(BIN)/python -m tests.campaigns.vm.upgrade --cuts $(or $(CUTS),2)

upgrade-cuts: $(READY) vm-tools
	PATH="$$PATH:$(SBIN)" $(BIN)/python -m tests.campaigns.vm.upgrade --cuts $(or $(CUTS),10) undisturbed cuts

# Power cuts while a shift is taken in, its camera erased, a sweep destroys and two officials watch; and cards pulled out in the middle of
# their erase. CUTS (QEMU killed, restarted), AGAIN (of them, so many in the recoveries of each life), REPLAYS (moments of LIVES that nobody cut,
# laid out as a cut would have left them), YANKS, LANES (cores: a machine has two), REAL (every so many lives end with a real boot), SEED, and AFTER (so many lives
# of this seed were cut before: a campaign may be made in parts) are arguments.
LANES ?= $(shell nproc)
REAL ?= 10
AGAIN ?= 3
SEED ?= 1
AFTER ?= 0
LOSSES = PATH="$$PATH:$(SBIN)" $(BIN)/python -m tests.campaigns.vm.losses --lanes $(LANES) --real $(REAL) --again $(AGAIN) --seed $(SEED) --after $(AFTER)
power-cuts: $(READY) vm-tools
	$(LOSSES) --cuts $(or $(CUTS),200) --replays $(or $(REPLAYS),500) --lives $(or $(LIVES),10)

yanks: $(READY) vm-tools
	$(LOSSES) --yanks $(or $(YANKS),100)

# A slice of both on one machine that was made ready once.
vm-losses: $(READY) vm-tools
	$(LOSSES) --cuts $(or $(CUTS),5) --replays $(or $(REPLAYS),20) --lives 1 --yanks $(or $(YANKS),5)

# `kill -9` of each unit on the installed guest, at random moments, while cameras are docked. KILLS are for each unit; after EVERY
# kills of all together everything is looked at; AFTER kills of SEED were made before.
KILLS ?= 50
EVERY ?= 25
kills: $(READY) vm-tools
	PATH="$$PATH:$(SBIN)" $(BIN)/python -m tests.campaigns.vm.kills --kills $(KILLS) --every $(EVERY) --seed $(SEED) --after $(AFTER)

# The Debian package, in run/. VERSION is an argument; by default it is the project's.
deb: $(READY)
	@$(BIN)/python systemd/build_deb.py run $(VERSION)

setup: $(READY) tools

# The environment: exactly the locked packages, each by its hash. Debian's python3 comes without venv.
$(READY): requirements/dev.lock pyproject.toml
	@python3 -c "import ensurepip, venv" 2>/dev/null || $(MAKE) --no-print-directory apt PACKAGES="python3 python3-venv"
	python3 -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# What the tests call beside Python.
.PHONY: tools vm-tools apt
tools:
	@missing=""; for pair in strace:strace systemd-analyze:systemd mount:mount umockdev-run:umockdev \
	  age:age unzip:unzip openssl:openssl pdftotext:poppler-utils cmp:diffutils chromium:chromium; do \
	  command -v $${pair%%:*} >/dev/null || missing="$$missing $${pair##*:}"; done; \
	/sbin/ldconfig -p | grep -q libusb-1.0.so.0 || missing="$$missing libusb-1.0-0"; \
	test -z "$$missing" || $(MAKE) --no-print-directory apt PACKAGES="$$missing"

# Debian keeps some of them where only root looks.
SBIN := /usr/local/sbin:/usr/sbin:/sbin
vm-tools:
	@PATH="$$PATH:$(SBIN)"; missing=""; for pair in qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils mmdebstrap:mmdebstrap \
	  mke2fs:e2fsprogs depmod:kmod cpio:cpio mkfs.vfat:dosfstools mcopy:mtools; do \
	  command -v $${pair%%:*} >/dev/null || missing="$$missing $${pair##*:}"; done; \
	test -z "$$missing" || $(MAKE) --no-print-directory apt PACKAGES="$$missing"

.PHONY: lint-tools
lint-tools:
	@command -v shellcheck >/dev/null || $(MAKE) --no-print-directory apt PACKAGES=shellcheck

# One program, by the hash of its lock. npm only fetches it.
$(BIOME): package-lock.json
	@command -v npm >/dev/null || $(MAKE) --no-print-directory apt PACKAGES=npm
	npm ci --silent
	@touch $@

apt:
	@as=""; test "$$(id -u)" = 0 || as=sudo; \
	echo "installing $(PACKAGES)"; \
	$$as apt-get -qq update && DEBIAN_FRONTEND=noninteractive $$as apt-get -qq install --no-install-recommends -y $(PACKAGES) >/dev/null

format: $(READY) $(BIOME)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIOME) check --write

# The locks name no host and hold a hash for each file.
lock: $(READY)
	python3 -m venv $(VENV)/lock && $(VENV)/lock/bin/pip install --quiet uv
	$(VENV)/lock/bin/uv pip compile -q --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --extra dev pyproject.toml -o requirements/dev.lock
	$(VENV)/lock/bin/uv pip compile -q --universal --generate-hashes --no-header --no-annotate --python-version 3.11 pyproject.toml -o requirements/run.lock

clean:
	rm -rf $(VENV) node_modules run .pytest_cache .mypy_cache .ruff_cache .hypothesis
