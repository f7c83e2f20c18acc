"""Scenarios that once broke an invariant, shrunk. Each is named by what must be true.

`scenarios.story_of` reads their bytes. A change of what a byte means there makes these scenarios useless.
"""

from __future__ import annotations

import pytest

from tests.property.scenarios import Scenario
from tests.property.simulation import simulate


def _scenario(head: str, schedule: str, *flows: str) -> Scenario:
    return Scenario(bytes.fromhex(head), tuple(bytes.fromhex(flow) for flow in flows), bytes.fromhex(schedule))


FOUND = {
    "a failure that a job once reported counts as having run also after a restart": _scenario(
        "a38e4f05d8a58c10efec",
        "5cef651e9f964a6ccd7bb253ee51be6e8296ab39fc9ed1ff88e99900692f5b",
        "e3db9b73f884d50ef1a59cc0c40325111bca0ca9e38a9abd8ceb",
        "7a12e5f8c347ab40f32a4bfe50afb34b3c96ec4da07ec8dda2d7",
        "5f9843c5904b404057264957ea974618c22847feaac86132109a",
        "7472616e736665722d656e636f64696e673a206368756e6b6564",
        "7d594dbf8bc6112b93b57158a0b2f90e22930bf2ce5e8ec2a48d",
        "6feb7d6b268b35b37aa9ce7e9087e53f9937decbdcb2e2736534",
        "7056a7b30c16d3d55fc5503ada7997c8bbb87a433d9877959410",
        "8b23a27e963ba386630bdc702c9545874f2f718911d51a109545",
        "58082cba678c60f43ec744fe32ace46baf4046d013b64292406a",
        "f7d2d06f10bcd42db30dbbd90c9d1b70f2018afeaf08785d36f0",
        "",
    ),
    "after a restart a service whose cache is not complete is not taken for gone": _scenario(
        "",
        "000000000001b2",
        "5f8e082051847d78f35d3f34c3c0df7f31ec99442b8dff9849af",
        "7d60ffb51405f9428ecf3832d37019c249b155964547b5a34497",
        "",
    ),
    "under Continue a job deleted by somebody is retried after the decision, too": _scenario(
        "000001", "0000ce00000000000000ce", "0002000003", "0000000000000000020000004a000000ba"
    ),
    "a retry that was due before a restart is made after it, though its attempt left no job": _scenario(
        "", "0000ce00080082", "000202000002"
    ),
    "the workflow's timeout is no timer any more once it has passed": _scenario(
        "0300000005", "", "", "00000000000000000000000014"
    ),
    "a creation that is refused is judged at once": _scenario("", "", "", "00000000000002000200000000000000000000e5"),
    "a last task that can never be made ends the workflow": _scenario(
        "", "", "", "000000000000000000004a00000002", "00020101030000000000000003020000220000030000000029"
    ),
    "pendingTimeout never comes early after a change of leader": _scenario(
        "", "00000000000000002b", "00020000050200000000050000010002"
    ),
    "how the workflow went is recorded before a rejection, given beforehand, of a finally flow counts": _scenario(
        "0e", "a4000001", "", "", "00000300010000000000000000000000000000000000000000000000000000ad"
    ),
    "finally flows are released in the pass that cancels the last of the others": _scenario(
        "030303",
        "",
        "",
        "000003",
        "",
        "00020000b7000100000000020000040000000003050078",
        "0001",
    ),
    "an attempt in Backoff does not inherit the clock of the job before it": _scenario(
        "", "00000801080000000000009c0001", "00020200000300000000050100000301"
    ),
    "a timed-out retry that never had a job keeps no job of the attempt before": _scenario(
        "00000000000003",
        "b401000000050b0201000000080008cc0001",
        "0000000000040005000002",
        "0000000000000000020000000005010301",
    ),
    "a job that a late list lacks is missed": _scenario(
        "",
        "0000050000cf00001e020857e302010000088a0000720000f2941f49",
        "050000020013000000000005",
        "0001",
        "00000000000000000200450000fe0000052d",
    ),
    "Stop leaves no job behind that the caches of a new controller do not show yet": _scenario(
        "",
        "00000000000101aeaa8553f3fdece114f9edbd28ab98b2",
        "0000000003d600000005",
        "0001000300000003000300000002",
        "000200000300000003020101",
        "0501020000000000000002",
        "0001",
        "00000000000000000200000000000001",
    ),
    "a job under deletion is judged at the decision, not when it is gone": _scenario(
        "",
        "000000b3000008000000000000df03",
        "000200000300030100000005010001008a",
    ),
    "a service that is gone before a pass saw it ready has not run": _scenario(
        "636f6e6e656374696f6e",
        "0f000000000000000000000000000000000000000000000000000000000000000057c400001100000000fd0100003e0001001c0000b00101016602fe",
        "",
        "326795795db9a8017ef179d6096ee4e30be4e7d94aee01e71750f78e4e3fb668c7a7dc653833",
        "4dd56a11c98598d0a37972f340525cbc0e3f43300f6ae7f92d46c9658775e60de9b86c08f777",
        "566c1a2efac324923d1c54b6acd5326c9a72f13b8a99680f41eb364b6b35517ea89cac310222",
        "66ee79069c165c66a910c65bb8f7d79d0ea2cd3727f1af5410e454c8de58d53f1d0c0e0c0ea2",
        "cbfc29c270c8f47056fc46f924db9267a35d517443628b4283b16d3c31fd9a01b3ecc69eacd9",
        "",
        "",
        "",
        "c2aa6842ba0183a54fb025686e7c0c5a416cf9d43265950980a233078a57ff4db0d93352af40",
    ),
}


@pytest.mark.parametrize("scenario", FOUND.values(), ids=FOUND)
def test_what_once_went_wrong(scenario: Scenario) -> None:
    simulate(scenario)


WITH_SILENT_WATCHES = {
    "a job is missed at the first look, though another kind's cache is not complete": _scenario(
        "da4b723b8feaca60a9f7",
        "000101010101010100280083e60000000600000101000004009e0000000100005900e900281603bed301f1fc00576801a7bafe5b000406"
        "1e252930364a5d607176018da0a6b7c3cccdcf01e50000fd",
        "c7a0c75403e510670188fef34cea747b498c86939e6b575760cb",
        "06dc11f3bc1660e5350a46858213f3ebe04112b23b4041f4f3e2",
        "2fe926a9652bd57a404904ea11e97ea1d2fc38224332addf0ad5",
        "66a0ae3775b6e76c55ec9f89006e5861d446fd1beac93170297f",
        "6f14a67aa4e25a52595b9f1700f9b435819b0fe23794084a1593",
        "99798110c4be4d528357a25283eb96205fc77f3bb57280924ded",
        "dd6ff7de2e4e98706ebb4991b7dc96033e5f0412403c15d1f35e",
        "fce8b2d8a086ede4b690436403736a66490566a11eec8e3b8882",
        "0000000000000000000000000000000000000000000000000000",
    ),
    "a gate does not give up on a service whose kind the controller cannot see": _scenario(
        "",
        "000b01000400017c0d0000010b00000000000000060003c400000000000000000101040001010100010000000101015201002c016400"
        "6d0000000400000000000000000000000000c603000000000000000001",
        "799a43332516aed3e293ff2c81ed5528da6e79c308cf72e6c012",
        "",
        "4278014eff6b1ed022348c98dc4e1bd700f5d06930152726cef4",
        "4c38de7f986f611f9fc9e34123ef056cf959041dbe27bbb85bac",
        "239618be20652c20073783a9318c238041750b8ba32264266923",
        "",
        "",
        "ebe292bf87e14ed7bd00b581ffff6680e7d26a5f76e45e23ffd4",
        "",
    ),
    "a gate counts on from when a replica became ready, though a list has got its number of tasks": _scenario(
        "",
        "",
        "",
        "000111292c8c92de5f0c4c071867ccc6afe4330333333c4d797f9501e0e68ebd466c28c2fdfe",
        "c6e37207d4b26559796180df6a1562d42caa4378de3e0f94ed2966c67fa2df4c1c9afd21747f",
        "000111292c8c92de5f0c4c071867ccc6afe4330333333c4d797f9501e0e68ebd466c28c2fdfe",
        "fb296847379f0dfa6a891cb352a25e616181fa2f758bdbcbe01043721fcbb0d79ff47ceb0132",
        "000111292c8c92de5f0c4c071867ccc6afe4330333333c4d797f9501e0e68ebd466c28c2fdfe",
        "0f1372b90cf1782cfb6a0f7464e3dd95549e10e443bb42fbfe2ffd4a6ab44476c64aa8c13c80",
        "9f8790ea5d4b227b4ca8eeaf152d4f822b32c9bfbfbc780b28728f87a0d3536f2b65dab417ab",
        "",
        "",
    ),
}


@pytest.mark.parametrize("scenario", WITH_SILENT_WATCHES.values(), ids=WITH_SILENT_WATCHES)
def test_what_once_went_wrong_while_watches_were_silent(scenario: Scenario) -> None:
    simulate(scenario, deaf=True)
