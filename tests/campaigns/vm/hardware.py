"""What the machine is made of, as QEMU's command line."""

from dataclasses import dataclass
from pathlib import Path

MEMORY_MIB = 512

ACCELERATORS = {
    "kvm": ("-accel", "kvm", "-cpu", "host"),
    # Emulated AVX is slower than emulated SSE: with it SHA-256 takes twice as long.
    "tcg": ("-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,-avx,-avx2"),
}


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the machine is made of. A snapshot fits only the very same."""

    kernel: Path
    initrd: Path
    accelerator: str

    def words(self, disk: Path, channels: Path) -> list[str]:
        """QEMU's command line. The sockets `agent` and `qmp` and the file `console` will stand in
        the folder `channels`.

        The root ports take disks that are plugged later: a bus can't be added to a running machine.
        """
        machine = [
            "-M",
            "q35,usb=off",
            "-m",
            str(MEMORY_MIB),
            "-smp",
            "2",
            *ACCELERATORS[self.accelerator],
        ]
        bare = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
        boot = ["-kernel", str(self.kernel), "-initrd", str(self.initrd)]
        # Nothing here is to be hidden from a neighbour in the CPU, and emulated retpolines cost a
        # fifth of all work.
        kernel = (
            "console=ttyS0 quiet rw panic=-1 nokaslr mitigations=off random.trust_cpu=on "
            "usb_storage.delay_use=0"
        )
        # As docs/admin/en/install.md has it.
        kernel += " fsck.repair=yes"
        boot += ["-append", kernel]
        network = ["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]
        entropy = [
            "-object",
            "rng-random,id=entropy,filename=/dev/urandom",
            "-device",
            "virtio-rng-pci,rng=entropy",
        ]
        ports = [
            word
            for slot in (1, 2)
            for word in ("-device", f"pcie-root-port,id=port{slot},chassis={slot},slot={slot}")
        ]
        serial = [
            "-serial",
            f"file:{channels / 'console'}",
            "-qmp",
            f"unix:{channels / 'qmp'},server=on,wait=off",
        ]
        serial += [
            "-device",
            "virtio-serial-pci",
            "-device",
            "virtserialport,chardev=agent,name=agent",
        ]
        serial += ["-chardev", f"socket,id=agent,path={channels / 'agent'},server=on,wait=off"]
        drive = ["-drive", f"file={disk},if=virtio,format=qcow2,cache=unsafe"]
        return [
            *machine,
            *bare,
            *boot,
            *network,
            *entropy,
            *ports,
            "-device",
            "qemu-xhci,id=xhci",
            *drive,
            *serial,
        ]
