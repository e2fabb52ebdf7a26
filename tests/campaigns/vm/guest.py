"""The guest that the tests run on: built once, booted once, and from then on restored within
seconds.

What it is made of stands in the digest that names its folder, so that a change builds another one.
"""

import hashlib
import lzma
import os
import re
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.campaigns.vm.hardware import Hardware
from tests.campaigns.vm.machine import Machine

HERE = Path(__file__).resolve().parent
INPUTS = (HERE / "image.sh", HERE / "agent.py", HERE / "hardware.py", HERE / "guest.py")

MAKING = ".making-"
SNAPSHOT = "booted"
BOOT_S = 300.0
CPUINFO = Path("/proc/cpuinfo")
XZ = b"\xfd7zXZ\x00"


@dataclass(frozen=True, slots=True)
class Guest:
    """A built guest: what it boots from, and its disk with the snapshot of the booted
    system in it.
    """

    hardware: Hardware
    disk: Path

    @classmethod
    def cached(cls, cache: Path) -> "Guest":
        """The guest of this digest below `cache`; it is built and booted where it is
        not there yet.
        """
        accelerator = fastest_accelerator()
        folder = cache / digest(accelerator)
        guest = cls(
            Hardware(folder / "vmlinux", folder / "initrd", accelerator), folder / "booted.qcow2"
        )
        if not guest.disk.exists():
            cache.mkdir(parents=True, exist_ok=True)
            making = Path(tempfile.mkdtemp(prefix=MAKING, dir=cache))
            try:
                _make(making, accelerator)
                _keep_only(making, folder)
            finally:
                shutil.rmtree(making, ignore_errors=True)
        return guest

    def restored(self, folder: Path) -> Machine:
        """A machine that has just booted, on a copy of the disk in `folder`."""
        disk = folder / "disk.qcow2"
        shutil.copyfile(self.disk, disk)
        return Machine(self.hardware, folder, disk, "-loadvm", SNAPSHOT)


def fastest_accelerator() -> str:
    """`kvm` only with the processor's own virtualisation: a /dev/kvm without it, in a nested
    machine, is slower than none.
    """
    loaded = any(Path("/sys/module", module).exists() for module in ("kvm_intel", "kvm_amd"))
    return "kvm" if loaded and os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg"


def digest(accelerator: str) -> str:
    """Of all that goes into the guest, Debian's archive excepted. A snapshot fits one QEMU, and
    under KVM one processor.
    """
    version = subprocess.run(
        ["qemu-system-x86_64", "--version"], check=True, capture_output=True
    ).stdout
    inputs = hashlib.sha256(accelerator.encode() + version)
    if accelerator == "kvm":
        inputs.update(
            b"".join(
                sorted(
                    set(
                        re.findall(
                            rb"^(?:model name|flags)\t.*$", CPUINFO.read_bytes(), re.MULTILINE
                        )
                    )
                )
            )
        )
    for path in INPUTS:
        inputs.update(hashlib.sha256(path.read_bytes()).digest())
    return inputs.hexdigest()[:16]


def _keep_only(made: Path, folder: Path) -> None:
    """Put a new guest in its place; guests of other digests go, half a gigabyte each."""
    for old in folder.parent.iterdir():
        if not old.name.startswith(MAKING):
            shutil.rmtree(old, ignore_errors=True)
    made.rename(folder)


def _make(folder: Path, accelerator: str) -> None:
    print(f"building the guest in {folder.parent}", flush=True)
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    subprocess.run([*as_root, str(HERE / "image.sh"), str(folder)], check=True)
    (folder / "vmlinux").write_bytes(unpacked_kernel((folder / "vmlinuz").read_bytes()))
    (folder / "vmlinuz").unlink()
    _boot(folder, accelerator)


def _boot(folder: Path, accelerator: str) -> None:
    """Boot once and keep the moment: QEMU emulates for half a minute what it then restores within
    two seconds.
    """
    root, disk = folder / "root.qcow2", folder / "booted.qcow2"
    root.rename(disk)
    said = folder / "boot"
    said.mkdir()
    with Machine(
        Hardware(folder / "vmlinux", folder / "initrd", accelerator), said, disk
    ) as machine:
        machine.wait_for_agent(BOOT_S)
        machine.must(
            "systemctl is-system-running --wait; modprobe -a vhci-hcd usb-storage vfat "
            "nls_utf8; sync",
            BOOT_S,
        )
        machine.monitor(f"savevm {SNAPSHOT}")
    shutil.rmtree(said)


def unpacked_kernel(image: bytes) -> bytes:
    """The ELF kernel in a Linux boot image. QEMU starts it directly, where emulated unpacking takes
    a minute.

    Offset and length of the payload stand in the setup header (Documentation/arch/x86/boot.rst:
    setup_sects, payload_offset, payload_length).
    """
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = image[start : start + length]
    if not payload.startswith(XZ):
        raise ValueError("the kernel is not packed with xz, as Debian 12 packs it")
    return lzma.LZMADecompressor().decompress(payload)
