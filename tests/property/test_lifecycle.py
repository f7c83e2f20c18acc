"""What an owner may do to a workflow at any moment: restart, stop, suspend, change, delete and create it again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from tests.property.lifecycle import Lifecycle, edited_lifecycles, lifecycles, live, of_hex

EXAMPLES = settings.default.max_examples if settings.default else 500

pytestmark = pytest.mark.timeout(3 * EXAMPLES)


@settings(max_examples=EXAMPLES)
@given(lifecycles())
def test_whatever_its_owner_does_a_workflow_keeps_the_contract(scenario: Lifecycle) -> None:
    live(scenario)


@settings(max_examples=EXAMPLES)
@given(edited_lifecycles())
def test_whatever_is_edited_and_taken_back_or_adopted_nothing_is_doubled_or_lost(scenario: Lifecycle) -> None:
    live(scenario)


# Scenarios that once broke an invariant, shrunk. Each is named by what must be true.
FOUND = {
    "a job whose deletion failed before an edit goes once the edit is taken back": of_hex(
        "00000000000000000000",
        "",
        "d7ee64a68d7a3cfa651edb7fcf36e6509f0476a302f0ced9fa",
        "8d74",
        "13a471c9fd58d9a84f13513c92bfda31ce10d4854646cb20300c486c91c2a11033117a366bac2564",
        "91f2eba872ee56fa21ed31a90fb02fc77252521a9acd6c18cc1a47deac06345b38d610a69b6751fc",
        "8bb7207c4edf76b1b51d30632605cca7952fdec97029a4f94bab9383c71c482fb77dbb7c8ae1c8bd",
        "1ef10673454d2f4214fde00c44c1362fbec3f78105efe8f0ce104cea05a5bfb402ecbc3c015038ed",
        "757bbd3ae142906f84b318c116004dd8dca3708892509f0afd81a12c946a08f0764205d1110f0eaa",
        "ad40e5eadd40e52ff58089fe4b0d0933aa6bd239244e5664f7453d69d8a538bd12d9a0dba0381278",
    ),
    "of an object that was applied and not recorded nobody knows the attempt, though status names one": of_hex(
        "",
        "",
        "9c004000680000000000c9e1524a9a78cfeaf90be0b5d4",
        "",
        "7eb3bd951d8346f74aa00046fb852513c6d90ac61a55e44c145095f086c70aae62bc3db389b25597",
        "5cac8d81802a3a25b9e42b45dd8c83891f5c38480156e60dbfb44e359d311a731debfc77b300ec06",
        "",
        "",
        "",
        "",
    ),
    "a job that went while no controller looked is judged once an edit is taken back": of_hex(
        "", "", "0001ef000200003a003e0000", "01", ""
    ),
    "a restart waits for the caches that show which services have jobs": of_hex(
        "", "", "70720a0001", "", "0000000000000003", "05"
    ),
    "a flow that a restart of others left Cancelled decides at once": of_hex(
        "58", "", "e1a99ba500e8000000d66e00d4", "", "", "00000000000000000000000000000079", ""
    ),
    "the address of a pod that was there before the leader is found": of_hex("", "005f", "00004351", "", "77", ""),
    "after the end the finished job of a flow that is taken out stays": of_hex(
        "00008b", "", "f1e78f32", "", "", "", ""
    ),
    "after a restart a service that was not run again is known to serve": of_hex(
        "", "", "", "0303", "05", "0000000000000000000000000000000000000000000000000001"
    ),
    "the flows that a restart named run again though the next is asked for": of_hex(
        "0002", "", "0000000000b40000007e", "", "", ""
    ),
    "what a held workflow says of a job that vanished stays, whoever looks again": of_hex(
        "00000000000000000000",
        "",
        "b20000000000007f007f015601de7f003a0000000001",
        "",
        "00000000000000030000a6000000000000000000000000000000",
    ),
    "a held workflow that is shut down removes the service of a flow that a restart took out": of_hex(
        "", "", "00000000000000770138e40000007f0002", "", "", "d1"
    ),
    "a workflow that was made again is not deleted for the ttl of the one before": of_hex(
        "", "", "000000000000000000000000000000000000000000000000000000007670000000003a72ed01", "", ""
    ),
    "a restart that adopts no replicas removes every job of the service": of_hex(
        "", "", "00000000007f0005", "01", "0508"
    ),
    "a restart that adopts fewer replicas waits until the services of the others are under deletion": of_hex(
        "", "", "00000000007f000501", "01", "0508"
    ),
    "a flow whose template goes before its kind was ever known is skipped like any other": Lifecycle(
        head=bytes(10),
        flows=(
            bytes(36),
            bytes.fromhex("000100070000000003000000008c00000300000000321d" + "00" * 13),
            b"\x00\x01" + bytes(34),
        ),
        peers=b"",
        schedule=bytes.fromhex("01640078000100"),
        ends=b"",
    ),
    "the outcome of a restart waits for the flows that it named, not for one without replicas": Lifecycle(
        head=bytes.fromhex("087f8133d0b9c9df6fe8"),
        flows=(
            bytes.fromhex("a3c88fb567caa3fd5103dd649b3065c760d7d6af5320e7779aeb3574182ee88022224f1a"),
            *[bytes(36)] * 5,
            bytes.fromhex("005c29000000000003" + "00" * 27),
        ),
        peers=b"",
        schedule=b"",
        ends=b"\x03\x01",
    ),
    "a restart that has nothing to run again adopts the retain policy, which removes the jobs": of_hex(
        "",
        "",
        "7f0000007fd266cee77fdf85f20000321f00620a000000000000d2000000000000000000000000000000000000000072"
        "0ee8cb006d7f4c3a9272770104",
        "",
        "29",
    ),
    "a flow that gets for before its first status has the jobs of the spec in force": of_hex(
        "", "", "6d010100cf0004", "", ""
    ),
    "a task that a restarted run skips is not given the job of the run before": of_hex(
        "",
        "",
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000072d4000100d4",
        "",
        "",
        "",
        "003e00000301010000006200008a01000000000000000000005000000001",
        "",
    ),
    "the tasks of a list that is read again in a restarted run begin at its first attempt": of_hex(
        "c2e7b94ed595ed0a852c",
        "",
        "0076",
        "0003",
        "",
        "",
        "",
        "",
        "",
        "",
        "0000030001000000bc000000200000004000000000000000000000000001",
    ),
    "a gate does not give up on what may be a service, before the caches show whether it has a job": of_hex(
        "",
        "",
        "000000000000000000000000000000000000000073abd1538cb7007b7f8d38de7f83c74f00d0183c047f01",
        "",
        "",
        "1c00050000000000000000000000000000000000000000220000000000000000000000000000",
    ),
    "a restart that has nothing to run again deletes no job by the retain policy before it": of_hex(
        "030200000002",
        "",
        "240000eb004c007600cb007eae4c008b007f0000007f000001700080777fac",
        "",
        "",
        "00000000000000000c000000001100030003",
    ),
    "a new controller begins the tasks of a list at the first attempt of the run, too": of_hex(
        "47a75d67cf23a8cc3091",
        "",
        "0000e0f5007f935ae6000000000000000000810000007ffefa792f5800734e00317b7faa6c320000000000000070000000",
        "",
        "c8bf137554e889eafb1986663cffefc986ef9f9015852fb57bc36d93c085bb0681e88aff1898b26f",
        "0001000300010200002c0000ee0000004130454c5356690000d6e806010c000000589700b1b2bef3",
    ),
    "a restart may begin at the attempt of a job that was gone before status recorded it": of_hex(
        "4d9c00dc0d14477caedb",
        "b63f",
        "114e335f2698c27e12c8a992264552e4363e8d56e7fddc53a3ecbaec487bf5de6219ef68445b5fe4",
        "114e335f2698c27e12c8a992264552e4363e8d56e7fddc53a3ecbaec487bf5de6219ef68445b5fe4",
        "8fd44345efed729609146d6f302d0f696e8f2100f3f8a337e25c725a75bfa503329fbd9dd7464019",
        "9bfc4482a6ed203159c26de670d90a98e8c407df322b290c061189d730e6a0f2bfec59881bbdd513",
        "9bfc4482a6ed203159c26de670d90a98e8c407df322b290c061189d730e6a0f2bfec59881bbdd513",
        "114e335f2698c27e12c8a992264552e4363e8d56e7fddc53a3ecbaec487bf5de6219ef68445b5fe4",
        "00000000000000000000000000000000000000000000000000000000000000000000000000000000",
        "9b618e8ecde03184e2ed29b9185b24706c7a22f2939b6ea4a31da20fed3907d5778852224d2ffcce",
    ),
    "a workflow whose ttl was taken out is kept, though the cache still has the ttl": of_hex(
        "", "", "0000000000007700762e00008683010000", "", ""
    ),
}


@pytest.mark.parametrize("scenario", FOUND.values(), ids=FOUND)
def test_what_once_went_wrong(scenario: Lifecycle) -> None:
    live(scenario)
