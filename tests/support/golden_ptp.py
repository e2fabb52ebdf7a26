"""PTP and MTP by hand: what ISO 15740 (PTP), PIMA 15740 annex D (containers) and MTP 1.1 say, field
by field, as hexadecimal.

No program of ours made these bytes. The bounds of the fields are kept beside them: the fuzzer
changes one field at a time. All integers are little-endian. A string is a count of UTF-16 units,
its closing NUL among them, and the units; the empty string is a single zero (ISO 15740, 5.3.4). An
array is a 32-bit count and the entries (5.3.3).
"""

from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Golden:
    """Some bytes, as fields: hexadecimal, and what the field is called."""

    name: str
    fields: tuple[tuple[str, str], ...]

    @property
    def pieces(self) -> tuple[bytes, ...]:
        """The bytes of each field."""
        return tuple(bytes.fromhex(digits) for digits, _ in self.fields)

    @property
    def content(self) -> bytes:
        """All the bytes."""
        return b"".join(self.pieces)

    @property
    def bounds(self) -> tuple[int, ...]:
        """Where each field ends."""
        return tuple(accumulate(len(piece) for piece in self.pieces))


OPEN_SESSION = Golden(
    "OpenSession, a command",
    (
        ("10 00 00 00", "ContainerLength 16"),
        ("01 00", "ContainerType Command Block"),
        ("02 10", "OperationCode OpenSession"),
        ("00 00 00 00", "TransactionID 0, as no session is open yet"),
        ("01 00 00 00", "Parameter 1, SessionID 1"),
    ),
)
GET_DEVICE_INFO = Golden(
    "GetDeviceInfo, a command without parameters",
    (
        ("0C 00 00 00", "ContainerLength 12"),
        ("01 00", "ContainerType Command Block"),
        ("01 10", "OperationCode GetDeviceInfo"),
        ("01 00 00 00", "TransactionID 1"),
    ),
)
GET_PARTIAL_OBJECT_64 = Golden(
    "GetPartialObject64, a command",
    (
        ("1C 00 00 00", "ContainerLength 28"),
        ("01 00", "ContainerType Command Block"),
        ("C1 95", "OperationCode GetPartialObject64, a vendor's"),
        ("2A 00 00 00", "TransactionID 42"),
        ("07 00 00 00", "Parameter 1, ObjectHandle 7"),
        ("FF FF FF FF", "Parameter 2, the offset's lower half: 8 GiB - 1 in all"),
        ("01 00 00 00", "Parameter 3, the offset's upper half"),
        ("00 00 10 00", "Parameter 4, 1 MiB at most"),
    ),
)
FIVE_PARAMETERS = Golden(
    "a command with all five parameters",
    (
        ("20 00 00 00", "ContainerLength 32"),
        ("01 00", "ContainerType Command Block"),
        ("FE 9F", "OperationCode of some vendor"),
        ("FE FF FF FF", "TransactionID, the last before it begins again"),
        ("01 00 00 00", "Parameter 1"),
        ("02 00 00 00", "Parameter 2"),
        ("03 00 00 00", "Parameter 3"),
        ("04 00 00 00", "Parameter 4"),
        ("FF FF FF FF", "Parameter 5"),
    ),
)
HANDLES_DATA = Golden(
    "the data of GetObjectHandles",
    (
        ("18 00 00 00", "ContainerLength 24"),
        ("02 00", "ContainerType Data Block"),
        ("07 10", "OperationCode GetObjectHandles"),
        ("05 00 00 00", "TransactionID 5"),
        ("02 00 00 00", "NumElements 2"),
        ("01 00 00 00", "ObjectHandle 1"),
        ("02 00 00 80", "ObjectHandle 0x80000002"),
    ),
)
LONG_DATA = Golden(
    "the header of data of 4 GiB or more",
    (
        ("FF FF FF FF", "ContainerLength: what 32 bits can't say"),
        ("02 00", "ContainerType Data Block"),
        ("09 10", "OperationCode GetObject"),
        ("06 00 00 00", "TransactionID 6"),
    ),
)
OK = Golden(
    "OK, a response",
    (
        ("0C 00 00 00", "ContainerLength 12"),
        ("03 00", "ContainerType Response Block"),
        ("01 20", "ResponseCode OK"),
        ("00 00 00 00", "TransactionID 0"),
    ),
)
PARTIAL_OK = Golden(
    "OK to GetPartialObject64, a response with a parameter",
    (
        ("10 00 00 00", "ContainerLength 16"),
        ("03 00", "ContainerType Response Block"),
        ("01 20", "ResponseCode OK"),
        ("2A 00 00 00", "TransactionID 42"),
        ("00 00 10 00", "Parameter 1, 1 MiB was sent"),
    ),
)
VENDOR_RESPONSE = Golden(
    "a vendor's response",
    (
        ("0C 00 00 00", "ContainerLength 12"),
        ("03 00", "ContainerType Response Block"),
        ("01 A0", "ResponseCode 0xA001, some vendor's"),
        ("07 00 00 00", "TransactionID 7"),
    ),
)
OBJECT_ADDED = Golden(
    "ObjectAdded, an event",
    (
        ("10 00 00 00", "ContainerLength 16"),
        ("04 00", "ContainerType Event Block"),
        ("02 40", "EventCode ObjectAdded"),
        ("FF FF FF FF", "TransactionID: of none"),
        ("02 00 00 80", "Parameter 1, ObjectHandle 0x80000002"),
    ),
)
CONTAINERS = (
    OPEN_SESSION,
    GET_DEVICE_INFO,
    GET_PARTIAL_OBJECT_64,
    FIVE_PARAMETERS,
    HANDLES_DATA,
    OK,
    PARTIAL_OK,
    VENDOR_RESPONSE,
    OBJECT_ADDED,
)
"""Whole ones; LONG_DATA is a header alone."""

DEVICE_INFO = Golden(
    "DeviceInfo of a camera that speaks MTP",
    (
        ("64 00", "StandardVersion 1.00"),
        ("06 00 00 00", "VendorExtensionID 6, Microsoft: MTP"),
        ("64 00", "VendorExtensionVersion 1.00"),
        ("14", "VendorExtensionDesc, 20 units"),
        (
            "6D00 6900 6300 7200 6F00 7300 6F00 6600 7400 2E00 6300 6F00 6D00 3A00 2000 3100 "
            "2E00 3000",
            "microsoft.com: 1.0",
        ),
        ("3B00", ";"),
        ("0000", "NUL"),
        ("00 00", "FunctionalMode 0, standard"),
        ("04 00 00 00", "OperationsSupported, 4 entries"),
        ("01 10", "GetDeviceInfo"),
        ("02 10", "OpenSession"),
        ("C1 95", "GetPartialObject64"),
        ("FE 9F", "an operation that nobody knows"),
        ("01 00 00 00", "EventsSupported, 1 entry"),
        ("02 40", "ObjectAdded"),
        ("02 00 00 00", "DevicePropertiesSupported, 2 entries"),
        ("01 50", "BatteryLevel"),
        ("11 50", "DateTime"),
        ("00 00 00 00", "CaptureFormats, none"),
        ("02 00 00 00", "ImageFormats, 2 entries"),
        ("01 30", "Association"),
        ("82 B9", "MP4 container"),
        ("05", "Manufacturer, 5 units"),
        ("4100 6300 6D00 6500", "Acme"),
        ("0000", "NUL"),
        ("04", "Model, 4 units"),
        ("4300 3DD8 F7DC", "C and U+1F4F7, a camera, as a pair of surrogates"),
        ("0000", "NUL"),
        ("04", "DeviceVersion, 4 units"),
        ("3100 2E00 3000", "1.0"),
        ("0000", "NUL"),
        ("08", "SerialNumber, 8 units"),
        ("4200 5700 4300 3000 3000 3400 3200", "BWC0042"),
        ("0000", "NUL"),
    ),
)
BARE_DEVICE_INFO = Golden(
    "DeviceInfo that says nothing",
    (
        ("64 00", "StandardVersion 1.00"),
        ("00 00 00 00", "VendorExtensionID, none"),
        ("00 00", "VendorExtensionVersion, none"),
        ("00", "VendorExtensionDesc, empty"),
        ("01 80", "FunctionalMode 0x8001, some vendor's"),
        ("00 00 00 00", "OperationsSupported, none"),
        ("00 00 00 00", "EventsSupported, none"),
        ("00 00 00 00", "DevicePropertiesSupported, none"),
        ("00 00 00 00", "CaptureFormats, none"),
        ("00 00 00 00", "ImageFormats, none"),
        ("00", "Manufacturer, empty"),
        ("00", "Model, empty"),
        ("00", "DeviceVersion, empty"),
        ("00", "SerialNumber, empty"),
    ),
)
STORAGE_INFO = Golden(
    "StorageInfo of a card of 64 GB",
    (
        ("04 00", "StorageType 4, removable RAM"),
        ("03 00", "FilesystemType 3, DCF"),
        ("00 00", "AccessCapability 0, read and write"),
        ("00 00 80 E6 0E 00 00 00", "MaxCapacity, 0x0EE6800000"),
        ("01 00 00 00 01 00 00 00", "FreeSpaceInBytes, 4 GiB + 1"),
        ("FF FF FF FF", "FreeSpaceInImages, not said"),
        ("03", "StorageDescription, 3 units"),
        ("5300 4400", "SD"),
        ("0000", "NUL"),
        ("00", "VolumeLabel, empty"),
    ),
)
FILE_INFO = Golden(
    "ObjectInfo of a film",
    (
        ("01 00 01 00", "StorageID 0x00010001"),
        ("82 B9", "ObjectFormat 0xB982, MP4 container"),
        ("01 00", "ProtectionStatus 1, read-only"),
        ("FF FF 00 00", "ObjectCompressedSize 65535"),
        ("01 38", "ThumbFormat 0x3801, EXIF/JPEG"),
        ("34 12 00 00", "ThumbCompressedSize 0x1234"),
        ("A0 00 00 00", "ThumbPixWidth 160"),
        ("78 00 00 00", "ThumbPixHeight 120"),
        ("80 07 00 00", "ImagePixWidth 1920"),
        ("38 04 00 00", "ImagePixHeight 1080"),
        ("18 00 00 00", "ImageBitDepth 24"),
        ("07 00 00 00", "ParentObject 7"),
        ("00 00", "AssociationType, none"),
        ("00 00 00 00", "AssociationDesc, none"),
        ("09 00 00 00", "SequenceNumber 9"),
        ("08", "Filename, 8 units"),
        ("C400 3100 2E00 4D00 7000 3400", "\u00c41.Mp4"),
        ("3DD8", "half a pair of surrogates, as FAT may hold it"),
        ("0000", "NUL"),
        ("13", "CaptureDate, 19 units"),
        ("3200 3000 3200 3600 3100 3100 3200 3300 5400", "20261123T"),
        ("3200 3100 3500 3000 3100 3900 2E00 3700 5A00", "215019.7Z"),
        ("0000", "NUL"),
        ("10", "ModificationDate, 16 units"),
        ("3200 3000 3200 3600 3100 3100 3200 3300 5400", "20261123T"),
        ("3200 3100 3500 3100 3000 3000", "215100"),
        ("0000", "NUL"),
        ("02", "Keywords, 2 units"),
        ("7800", "x"),
        ("0000", "NUL"),
    ),
)
FOLDER_INFO = Golden(
    "ObjectInfo of a folder",
    (
        ("01 00 01 00", "StorageID 0x00010001"),
        ("01 30", "ObjectFormat 0x3001, Association"),
        ("00 00", "ProtectionStatus 0, none"),
        ("00 00 00 00", "ObjectCompressedSize, none"),
        ("00 00", "ThumbFormat, none"),
        ("00 00 00 00", "ThumbCompressedSize, none"),
        ("00 00 00 00", "ThumbPixWidth, none"),
        ("00 00 00 00", "ThumbPixHeight, none"),
        ("00 00 00 00", "ImagePixWidth, none"),
        ("00 00 00 00", "ImagePixHeight, none"),
        ("00 00 00 00", "ImageBitDepth, none"),
        ("00 00 00 00", "ParentObject, the root"),
        ("01 00", "AssociationType 1, GenericFolder"),
        ("00 00 00 00", "AssociationDesc, none"),
        ("00 00 00 00", "SequenceNumber, none"),
        ("05", "Filename, 5 units"),
        ("4400 4300 4900 4D00", "DCIM"),
        ("0000", "NUL"),
        ("00", "CaptureDate, empty"),
        ("00", "ModificationDate, empty"),
        ("00", "Keywords, empty"),
    ),
)
LARGE_FILE_INFO = Golden(
    "ObjectInfo of a film of 4 GiB or more",
    (
        ("02 00 01 00", "StorageID 0x00010002"),
        ("84 B9", "ObjectFormat 0xB984, 3GP container"),
        ("03 80", "ProtectionStatus 0x8003, non-transferable data"),
        ("FF FF FF FF", "ObjectCompressedSize: see ObjectSize"),
        ("00 00", "ThumbFormat, none"),
        ("00 00 00 00", "ThumbCompressedSize, none"),
        ("00 00 00 00", "ThumbPixWidth, none"),
        ("00 00 00 00", "ThumbPixHeight, none"),
        ("00 00 00 00", "ImagePixWidth, none"),
        ("00 00 00 00", "ImagePixHeight, none"),
        ("00 00 00 00", "ImageBitDepth, none"),
        ("FF FF FF FF", "ParentObject, the root as some write it"),
        ("00 00", "AssociationType, none"),
        ("00 00 00 00", "AssociationDesc, none"),
        ("00 00 00 00", "SequenceNumber, none"),
        ("02", "Filename, 2 units"),
        ("4100", "A"),
        ("0000", "NUL"),
        ("15", "CaptureDate, 21 units"),
        ("3200 3000 3200 3600 3100 3100 3200 3300 5400", "20261123T"),
        ("3200 3100 3500 3000 3100 3900", "215019"),
        ("2B00 3000 3100 3300 3000", "+0130"),
        ("0000", "NUL"),
        ("00", "ModificationDate, empty"),
        ("00", "Keywords, empty"),
    ),
)
OBJECT_INFOS = (FILE_INFO, FOLDER_INFO, LARGE_FILE_INFO)

HANDLES = Golden(
    "an array of handles",
    (
        ("03 00 00 00", "NumElements 3"),
        ("01 00 00 00", "ObjectHandle 1"),
        ("02 00 00 80", "ObjectHandle 0x80000002"),
        ("FF FF FF FF", "ObjectHandle 0xFFFFFFFF"),
    ),
)
NO_HANDLES = Golden("an array of no handles", (("00 00 00 00", "NumElements 0"),))
OBJECT_SIZE = Golden(
    "ObjectSize, 4 GiB + 1", (("01 00 00 00", "the lower half"), ("01 00 00 00", "the upper half"))
)

EMPTY_TEXT = Golden("the empty string", (("00", "0 units"),))
LATIN_TEXT = Golden(
    "a string of the first plane",
    (("04", "4 units"), ("C400 6200 AC20", "\u00c4b\u20ac"), ("0000", "NUL")),
)
PAIR_TEXT = Golden(
    "a string with a pair of surrogates",
    (("03", "3 units"), ("3DD8 F7DC", "U+1F4F7"), ("0000", "NUL")),
)
LONE_TEXT = Golden(
    "a string with surrogates that are no pair",
    (
        ("05", "5 units"),
        ("F7DC", "a low one"),
        ("3DD8", "a high one"),
        ("4100", "A"),
        ("3DD8", "a high one"),
        ("0000", "NUL"),
    ),
)
LONGEST_TEXT = Golden(
    "a string of 254 units", (("FF", "255 units"), ("6100" * 254, "a"), ("0000", "NUL"))
)
DATE_TEXT = Golden(
    "a time, as the value of DateTime",
    (
        ("15", "21 units"),
        ("3200 3000 3200 3600", "2026"),
        ("3100 3100 3200 3300", "1123"),
        ("5400", "T"),
        ("3200 3100 3500 3000 3100 3900", "215019"),
        ("2D00 3000 3900 3300 3000", "-0930"),
        ("0000", "NUL"),
    ),
)
TEXTS = (EMPTY_TEXT, LATIN_TEXT, PAIR_TEXT, LONE_TEXT, LONGEST_TEXT, DATE_TEXT)
