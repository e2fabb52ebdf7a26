"""PTP and MTP as bytes: against bytes written by hand from the specifications, against every
truncation, against any values.
"""

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockd.usb import ptp
from dockd.usb.ptp import (
    Container,
    DateTime,
    DeviceInfo,
    Header,
    Kind,
    MalformedError,
    ObjectInfo,
    StorageInfo,
)
from tests.support import golden_ptp as golden
from tests.support.canon_recording import TRANSFERS, needs_recording
from tests.support.golden_ptp import Golden

CONTAINERS = {
    golden.OPEN_SESSION.name: (Kind.COMMAND, 0x1002, 0, (1,)),
    golden.GET_DEVICE_INFO.name: (Kind.COMMAND, 0x1001, 1, ()),
    golden.GET_PARTIAL_OBJECT_64.name: (Kind.COMMAND, 0x95C1, 42, (7, 0xFFFFFFFF, 1, 1 << 20)),
    golden.FIVE_PARAMETERS.name: (Kind.COMMAND, 0x9FFE, 0xFFFFFFFE, (1, 2, 3, 4, 0xFFFFFFFF)),
    golden.HANDLES_DATA.name: (Kind.DATA, 0x1007, 5, (2, 1, 0x80000002)),
    golden.OK.name: (Kind.RESPONSE, ptp.Response.OK, 0, ()),
    golden.PARTIAL_OK.name: (Kind.RESPONSE, ptp.Response.OK, 42, (1 << 20,)),
    golden.VENDOR_RESPONSE.name: (Kind.RESPONSE, 0xA001, 7, ()),
    golden.OBJECT_ADDED.name: (Kind.EVENT, 0x4002, 0xFFFFFFFF, (0x80000002,)),
}
DATASETS: list[
    tuple[
        Golden,
        Callable[[bytes], DeviceInfo | StorageInfo | ObjectInfo],
        DeviceInfo | StorageInfo | ObjectInfo,
    ]
] = [
    (
        golden.DEVICE_INFO,
        DeviceInfo.decode,
        DeviceInfo(
            standard_version=100,
            extension_id=6,
            extension_version=100,
            extension="microsoft.com: 1.0;",
            functional_mode=0,
            operations=(0x1001, 0x1002, 0x95C1, 0x9FFE),
            events=(0x4002,),
            properties=(0x5001, 0x5011),
            capture_formats=(),
            object_formats=(0x3001, 0xB982),
            manufacturer="Acme",
            model="C\U0001f4f7",
            version="1.0",
            serial="BWC0042",
        ),
    ),
    (
        golden.BARE_DEVICE_INFO,
        DeviceInfo.decode,
        DeviceInfo(100, 0, 0, "", 0x8001, (), (), (), (), (), "", "", "", ""),
    ),
    (
        golden.STORAGE_INFO,
        StorageInfo.decode,
        StorageInfo(
            storage_type=4,
            filesystem_type=3,
            access=0,
            capacity_bytes=0x0E_E680_0000,
            free_bytes=2**32 + 1,
            free_objects=0xFFFFFFFF,
            description="SD",
            label="",
        ),
    ),
    (
        golden.FILE_INFO,
        ObjectInfo.decode,
        ObjectInfo(
            storage=0x00010001,
            format=0xB982,
            protection=1,
            compressed_size=65535,
            thumb_format=0x3801,
            thumb_compressed_size=0x1234,
            thumb_width=160,
            thumb_height=120,
            image_width=1920,
            image_height=1080,
            image_depth=24,
            parent=7,
            association_type=0,
            association_desc=0,
            sequence_number=9,
            name="\u00c41.Mp4\ud83d",
            captured="20261123T215019.7Z",
            modified="20261123T215100",
            keywords="x",
        ),
    ),
    (
        golden.FOLDER_INFO,
        ObjectInfo.decode,
        ObjectInfo(
            0x00010001, ptp.FOLDER, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, "DCIM", "", "", ""
        ),
    ),
    (
        golden.LARGE_FILE_INFO,
        ObjectInfo.decode,
        ObjectInfo(
            storage=0x00010002,
            format=0xB984,
            protection=0x8003,
            compressed_size=ptp.WHOLE_LENGTH_UNKNOWN,
            thumb_format=0,
            thumb_compressed_size=0,
            thumb_width=0,
            thumb_height=0,
            image_width=0,
            image_height=0,
            image_depth=0,
            parent=ptp.ROOT,
            association_type=0,
            association_desc=0,
            sequence_number=0,
            name="A",
            captured="20261123T215019+0130",
            modified="",
            keywords="",
        ),
    ),
]
TEXTS = {
    golden.EMPTY_TEXT.name: "",
    golden.LATIN_TEXT.name: "\u00c4b\u20ac",
    golden.PAIR_TEXT.name: "\U0001f4f7",
    golden.LONE_TEXT.name: "\udcf7\ud83dA\ud83d",
    golden.LONGEST_TEXT.name: "a" * 254,
    golden.DATE_TEXT.name: "20261123T215019-0930",
}


def text(content: bytes) -> str:
    return ptp.decode_text(content, "a text")


def handles(content: bytes) -> tuple[int, ...]:
    return ptp.decode_handles(content, "GetObjectHandles")


def u64(content: bytes) -> int:
    return ptp.decode_u64(content, "ObjectSize")


@pytest.mark.parametrize("example", golden.CONTAINERS, ids=lambda example: example.name)
def test_a_container_is_read_and_written(example: Golden) -> None:
    kind, code, transaction, parameters = CONTAINERS[example.name]
    container = Container.decode(example.content)
    assert (container.kind, container.code, container.transaction) == (kind, code, transaction)
    assert container.parameters == parameters
    assert container.encode() == example.content
    assert (
        Header.decode(memoryview(example.content)).encode() == example.content[: ptp.HEADER_BYTES]
    )
    if kind is Kind.COMMAND:
        assert ptp.command(code, transaction, *parameters) == example.content


def test_data_longer_than_its_length_can_say_has_a_header_alone() -> None:
    header = Header.decode(golden.LONG_DATA.content)
    assert header == Header(ptp.WHOLE_LENGTH_UNKNOWN, Kind.DATA, ptp.Operation.GET_OBJECT, 6)
    assert header.encode() == golden.LONG_DATA.content
    with pytest.raises(MalformedError):
        Container.decode(golden.LONG_DATA.content)


@pytest.mark.parametrize(
    ("example", "decode", "value"), DATASETS, ids=[example.name for example, _, _ in DATASETS]
)
def test_a_dataset_is_read_and_written(
    example: Golden,
    decode: Callable[[bytes], DeviceInfo | StorageInfo | ObjectInfo],
    value: DeviceInfo | StorageInfo | ObjectInfo,
) -> None:
    assert decode(example.content) == value
    assert value.encode() == example.content
    assert decode(example.content + b"\xff\0") == value, (
        "what stands behind the last field is some vendor's"
    )


def test_arrays_and_sizes_are_read_and_written() -> None:
    assert handles(golden.HANDLES.content) == (1, 0x80000002, 0xFFFFFFFF)
    assert ptp.encode_array((1, 0x80000002, 0xFFFFFFFF), 4) == golden.HANDLES.content
    assert handles(golden.NO_HANDLES.content) == ()
    assert ptp.encode_array((), 2) == golden.NO_HANDLES.content
    assert u64(golden.OBJECT_SIZE.content) == 2**32 + 1


@pytest.mark.parametrize("example", golden.TEXTS, ids=lambda example: example.name)
def test_a_string_is_read_and_written(example: Golden) -> None:
    assert text(example.content) == TEXTS[example.name]
    assert ptp.encode_text(TEXTS[example.name]) == example.content


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("01 0000", ""),  # one unit, the NUL: as some write the empty string
        ("02 4100 4200", "AB"),  # no NUL at all
        ("04 4100 0000 4200 0000", "A"),  # something behind the NUL
    ],
)
def test_a_string_is_read_as_devices_write_it(content: str, value: str) -> None:
    assert text(bytes.fromhex(content)) == value


@pytest.mark.parametrize("value", ["a" * 255, "\U0001f4f7" * 127 + "a", "a\0b"])
def test_a_string_that_does_not_fit_is_not_written(value: str) -> None:
    with pytest.raises(ValueError):
        ptp.encode_text(value)


def test_six_parameters_are_not_written() -> None:
    with pytest.raises(ValueError):
        ptp.command(0x1007, 1, 1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize(
    ("example", "decode"),
    [
        *[(example, Container.decode) for example in golden.CONTAINERS],
        (golden.LONG_DATA, Header.decode),
        *[(example, decode) for example, decode, _ in DATASETS],
        (golden.HANDLES, handles),
        (golden.NO_HANDLES, handles),
        (golden.OBJECT_SIZE, u64),
        *[(example, text) for example in golden.TEXTS],
    ],
    ids=lambda value: value.name if isinstance(value, Golden) else "",
)
def test_every_truncation_is_malformed(example: Golden, decode: Callable[[bytes], object]) -> None:
    """Fault A15. At every byte, never only at the bounds of fields."""
    for size in range(len(example.content)):
        with pytest.raises(MalformedError):
            decode(example.content[:size])


@pytest.mark.parametrize(
    ("content", "decode"),
    [
        ("0D000000 0300 0120 00000000", Container.decode),  # a byte more is announced than there is
        ("0C000000 0300 0120 00000000 00", Container.decode),  # a byte less
        (
            "FFFFFFFF 0300 0120 00000000",
            Container.decode,
        ),  # a length that nobody knows is for data only
        ("0B000000 0300 0120 00000000", Header.decode),  # shorter than the header itself
        ("00000000 0300 0120 00000000", Header.decode),
        ("0C000000 0000 0120 00000000", Header.decode),  # no container type is 0 or 5
        ("0C000000 0500 0120 00000000", Header.decode),
        ("0C000000 0001 0120 00000000", Header.decode),  # big-endian
        (
            "0E000000 0300 0120 00000000 0100",
            lambda content: Container.decode(content).parameters,
        ),  # half a parameter
        (
            "24000000 0300 0120 00000000" + "01000000" * 6,
            lambda content: Container.decode(content).parameters,
        ),
        ("FFFFFFFF", handles),  # 2^32 - 1 handles in four bytes
        ("FFFFFF3F 00000000", handles),
        ("00000040 00000000", handles),  # 2^30 entries: 2^32 bytes, which is 0 in 32 bits
        ("FF" + "4100" * 255, text),  # 255 units of which none is the NUL
    ],
)
def test_what_does_not_fit_is_malformed(content: str, decode: Callable[[bytes], object]) -> None:
    """Fault A15. Lengths and counts that lie."""
    with pytest.raises(MalformedError):
        decode(bytes.fromhex(content))


SHOWN = datetime(2026, 11, 23, 21, 50, 19)  # noqa: DTZ001 - as the camera shows it
TENTHS = SHOWN + timedelta(milliseconds=700)


@pytest.mark.parametrize(
    ("shown", "value"),
    [
        ("20261123T215019", DateTime(SHOWN, False, None)),
        ("20261123T215019.7", DateTime(TENTHS, True, None)),
        ("20261123T215019.0", DateTime(SHOWN, True, None)),
        ("20261123T215019Z", DateTime(SHOWN, False, UTC)),
        ("20261123T215019.7Z", DateTime(TENTHS, True, UTC)),
        ("20261123T215019+0130", DateTime(SHOWN, False, timezone(timedelta(minutes=90)))),
        ("20261123T215019.7-0930", DateTime(TENTHS, True, timezone(timedelta(minutes=-570)))),
        ("20261123T215019-0030", DateTime(SHOWN, False, timezone(timedelta(minutes=-30)))),
        ("20261123T215019+2359", DateTime(SHOWN, False, timezone(timedelta(minutes=1439)))),
        ("00010101T000000", DateTime(datetime(1, 1, 1), False, None)),  # noqa: DTZ001
        ("99991231T235959.9Z", DateTime(datetime(9999, 12, 31, 23, 59, 59, 900_000), True, UTC)),  # noqa: DTZ001
        ("20240229T120000", DateTime(datetime(2024, 2, 29, 12), False, None)),  # noqa: DTZ001
    ],
)
def test_a_time_is_read_and_written(shown: str, value: DateTime) -> None:
    assert DateTime.decode(shown) == value
    assert value.encode() == shown


def test_a_time_is_known_in_utc_where_utc_has_it() -> None:
    assert DateTime.decode("20261123T215019+0130").utc() == datetime(
        2026, 11, 23, 20, 20, 19, tzinfo=UTC
    )
    assert DateTime.decode("00010101T000000-0001").utc() == datetime(1, 1, 1, 0, 1, tzinfo=UTC)
    for beyond in ("00010101T000000+0001", "99991231T235959-0001"):
        with pytest.raises(MalformedError):
            DateTime.decode(beyond).utc()


def test_no_offset_is_utc() -> None:
    assert DateTime.decode("20261123T215019+0000") == DateTime.decode("20261123T215019Z")


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "20261123",
        "20261123T2150",
        "20261123 215019",
        "20261123T215019.",
        "20261123T215019.77",
        "20261123T215019,7",
        "20261123T215019z",
        "20261123T215019+01",
        "20261123T215019+0160",
        "20261123T215019+2400",
        "20261123T215019Z\n",
        " 20261123T215019",
        "\u0662\u0660261123T215019",  # digits, but no ASCII
        "00000101T000000",
        "20261301T000000",
        "20260229T000000",
        "20261123T240000",
        "20261123T215060",
    ],
)
def test_what_is_no_time_is_malformed(shown: str) -> None:
    with pytest.raises(MalformedError):
        DateTime.decode(shown)


FUNCTIONAL_MODE_END = golden.DEVICE_INFO.bounds[7]


def test_a_malformed_dataset_names_its_place() -> None:
    with pytest.raises(MalformedError, match=r"ObjectInfo .*ParentObject"):
        ObjectInfo.decode(golden.FILE_INFO.content[:40])
    with pytest.raises(MalformedError, match=r"DeviceInfo .*OperationsSupported .*65535"):
        DeviceInfo.decode(
            golden.DEVICE_INFO.content[:FUNCTIONAL_MODE_END] + b"\xff\xff\0\0\x01\x10"
        )


U16 = st.integers(0, 2**16 - 1)
U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
CODES = st.lists(U16, max_size=40).map(tuple)
UNITS = st.lists(st.integers(1, 2**16 - 1), max_size=254)
TEXT = UNITS.map(
    lambda units: struct.pack(f"<{len(units)}H", *units).decode("utf-16-le", "surrogatepass")
)
"""Any units whatever but NUL: lone surrogates too."""
ZONES = (
    st.none()
    | st.just(UTC)
    | st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
)
DAYS = st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)).map(  # noqa: DTZ001
    lambda day: day.replace(microsecond=0)
)

ROUND = settings(derandomize=True, deadline=None, max_examples=300)


@ROUND
@given(st.sampled_from(Kind), U16, U32, st.lists(U32, max_size=5).map(tuple))
def test_any_container_comes_back(
    kind: Kind, code: int, transaction: int, parameters: tuple[int, ...]
) -> None:
    container = Container(kind, code, transaction, struct.pack(f"<{len(parameters)}I", *parameters))
    assert Container.decode(container.encode()) == container
    assert container.parameters == parameters


@ROUND
@given(TEXT)
def test_any_string_comes_back(value: str) -> None:
    assert text(ptp.encode_text(value)) == value


@ROUND
@given(
    st.builds(
        DeviceInfo,
        U16,
        U32,
        U16,
        TEXT,
        U16,
        CODES,
        CODES,
        CODES,
        CODES,
        CODES,
        TEXT,
        TEXT,
        TEXT,
        TEXT,
    )
)
def test_any_device_info_comes_back(value: DeviceInfo) -> None:
    assert DeviceInfo.decode(value.encode()) == value


@ROUND
@given(st.builds(StorageInfo, U16, U16, U16, U64, U64, U32, TEXT, TEXT))
def test_any_storage_info_comes_back(value: StorageInfo) -> None:
    assert StorageInfo.decode(value.encode()) == value


@ROUND
@given(
    st.builds(
        ObjectInfo,
        U32,
        U16,
        U16,
        U32,
        U16,
        U32,
        U32,
        U32,
        U32,
        U32,
        U32,
        U32,
        U16,
        U32,
        U32,
        *[TEXT] * 4,
    )
)
def test_any_object_info_comes_back(value: ObjectInfo) -> None:
    assert ObjectInfo.decode(value.encode()) == value


@ROUND
@given(
    st.builds(
        lambda day, tenth, zone: (day, tenth, zone), DAYS, st.none() | st.integers(0, 9), ZONES
    )
)
def test_any_time_comes_back(parts: tuple[datetime, int | None, timezone | None]) -> None:
    day, tenth, zone = parts
    value = DateTime(day + timedelta(milliseconds=100 * (tenth or 0)), tenth is not None, zone)
    assert DateTime.decode(value.encode()) == value


@needs_recording
def test_a_real_cameras_device_info_is_read_and_written() -> None:
    """A Canon, by what umockdev's recording says it sent: the data of GetDeviceInfo in transaction
    1.
    """
    line = next(
        line for line in TRANSFERS.read_text().splitlines() if "95010000020001100100" in line
    )
    container = Container.decode(bytes.fromhex(line.split()[-1]))
    assert (container.kind, container.code, container.transaction) == (
        Kind.DATA,
        ptp.Operation.GET_DEVICE_INFO,
        1,
    )
    info = DeviceInfo.decode(container.payload)
    assert (info.manufacturer, info.model) == ("Canon Inc.", "Canon PowerShot SX200 IS")
    assert info.encode() == container.payload
