"""The tree behind `qscan scan --explain`, as objects, as JSON and as it is drawn."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from qscan_cli.explain import Node, as_json, tree
from qscan_cli.scan_report import explanation
from qscan_cli.terminal import columns
from qscan_cli.tree_drawing import drawing
from qscan_contracts.defects import CATALOGUE
from qscan_contracts.ids import ComponentPath, FindingId, ScanId, Sha256
from qscan_contracts.intake import ComponentAnswer, FindingAnswer, ReportAnswer, ScanAnswer
from qscan_contracts.vocabulary import ActionKind, Disposition, Origin, UnscannedReason, Verdict

SHA256 = Sha256("0123456789abcdef" * 4)
CLEAN = ReportAnswer("clamd", "1.4", "7+1", "clean", None, None, retryable=False, cached=False)
EICAR = replace(CLEAN, outcome="detected", signature_name="Eicar")
NOT_OPENED = replace(CLEAN, engine="unpacker", outcome="unscanned", reason=UnscannedReason.ENCRYPTED)


def component(path: str, origin: Origin = Origin.PART, **more: Any) -> ComponentAnswer:
    """A component that an engine found clean."""
    plain = ComponentAnswer(ComponentPath(path), None, origin, (), "text/plain", "", 10, SHA256, (CLEAN,))
    return replace(plain, **more)


RAW = component("", Origin.RAW, content_type="", size=4711)


def by_rule(id_: str, path: str, action: ActionKind, **more: Any) -> FindingAnswer:
    """A finding of a rule."""
    return replace(FindingAnswer(FindingId(id_), "policy", ComponentPath(path), action, ""), **more)


def defect(id_: str, path: str, action: ActionKind, **more: Any) -> FindingAnswer:
    """A finding of the dissector, with what the catalogue says of it."""
    kind = CATALOGUE[FindingId(id_)]
    plain = FindingAnswer(kind.id, "unpacker", ComponentPath(path), action, kind.title)
    known = replace(plain, offset=0, length=0, rfc=kind.rfc, hides_content=kind.hides_content)
    return replace(known, **more)


def answer(*components: ComponentAnswer, findings: tuple[FindingAnswer, ...] = (), left_out: int = 0) -> ScanAnswer:
    """An answer about a message with these components."""
    return ScanAnswer(
        scan_id=ScanId("S1"),
        verdict=Verdict.POLICY,
        disposition=Disposition.QUARANTINE,
        reason="a reason",
        recipients=(),
        smtp=None,
        edits=(),
        findings=findings,
        components=components,
        spam=None,
        raw_size=4711,
        raw_sha256=SHA256,
        rules_version="1",
        timing_ms={"total": 12.3},
        findings_left_out=left_out,
    )


def drawn(*components: ComponentAnswer, findings: tuple[FindingAnswer, ...] = (), width: int = 80) -> list[str]:
    """The tree as it is drawn."""
    return list(drawing(tree(answer(*components, findings=findings)), width=width, colours=False))


def shape(node: Node) -> Any:
    """The paths of a tree."""
    return {node.path: [shape(child) for child in node.children]} if node.children else node.path


def expected(text: str) -> list[str]:
    """The lines of a drawing in a test."""
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def test_parts_stand_below_what_they_were_found_in():
    """Multipart entities, which have no component, too; in the order of their indices, which is not that of texts."""
    root = tree(answer(RAW, component("2.10"), component("2.9"), component("1"), component("2.9.1")))
    assert shape(root) == {"": ["1", {"2": [{"2.9": ["2.9.1"]}, "2.10"]}]}
    container = root.children[1]
    assert container.component is None


def test_the_parent_that_the_answer_names_is_believed_where_it_can_be():
    """An index may stand for no node; a parent that is none above the path is no parent: a tree has no circles."""
    direct = component("1.3.1", parent=ComponentPath("1"))
    circular = component("2", parent=ComponentPath("2.1"))
    assert shape(tree(answer(RAW, direct, circular, component("2.1")))) == {"": [{"1": ["1.3.1"]}, {"2": ["2.1"]}]}


def test_a_finding_about_an_entity_without_component_has_its_node():
    """What was seen in a multipart that could not be split is told there."""
    root = tree(answer(RAW, findings=(defect("mime.boundary.empty", "3.1", ActionKind.LOG),)))
    assert shape(root) == {"": [{"3": ["3.1"]}]}
    assert [one.id for one in root.children[0].children[0].findings] == ["mime.boundary.empty"]


def test_json_is_the_answer_with_a_tree():
    """Instead of findings and components, which are all in it; nothing else of the answer is lost."""
    one = answer(RAW, component("1.1"), findings=(by_rule("rule.x", "1.1", ActionKind.LOG),))
    explained = json.loads(as_json(one))
    assert (explained["scan_id"], explained["verdict"], explained["findings_left_out"]) == ("S1", "policy", 0)
    assert not explained.keys() & {"findings", "components"}
    assert explained["tree"]["component"]["size"] == 4711
    (entity,) = explained["tree"]["children"]
    assert (entity["path"], entity["component"], entity["findings"]) == ("1", None, [])
    (part,) = entity["children"]
    assert (part["path"], part["component"]["sha256"], part["children"]) == ("1.1", SHA256, [])
    assert [one["id"] for one in part["findings"]] == ["rule.x"]


def test_the_drawing_of_a_message_with_everything():
    """What was found at a glance: what it is, what it is said to be, how large, what engines say, what is done."""
    lines = drawn(
        RAW,
        component("0", Origin.PREAMBLE, content_type="", detected_type="text/plain"),
        component("1.1"),
        component("1.2", content_type="image/png", detected_type="application/x-dosexec", names=("a.png",)),
        component("2", content_type="application/zip", names=("a.zip",), size=12345678),
        component("2.1", Origin.MEMBER, names=("b.com",), reports=(EICAR,), content_type=""),
        component(
            "2.2",
            Origin.MEMBER,
            names=("c.exe", "c.txt"),
            content_type="",
            size=99,
            sha256="",
            encrypted=True,
            reports=(replace(NOT_OPENED, detail="no password fits"),),
        ),
        component("3", reports=()),
        findings=(
            by_rule("spam.score", "", ActionKind.TAG, detail="score 6 of 5"),
            by_rule("virus.detected", "2.1", ActionKind.QUARANTINE, source="av", detail="Eicar"),
            by_rule("unscanned.encrypted", "2.2", ActionKind.TAG, source="unpacker", detail="encrypted"),
            defect("mime.boundary.never_closed", "1", ActionKind.LOG, offset=900),
            defect(
                "archive.overlap",
                "2",
                ActionKind.QUARANTINE,
                offset=1234,
                length=56,
                within=ComponentPath("2"),
                evidence="b.com, c.exe",
            ),
        ),
    )
    assert lines == expected("""
component                              bytes  sha256    engines
raw                                     4711  01234567  clean
│  ! spam.score → tag: score 6 of 5
├─ 0  preamble text/plain                 10  01234567  clean
├─ 1  container
│  │  · mime.boundary.never_closed → log: closing boundary missing; at byte 900;
│  │    RFC 2046 §5.1.1
│  ├─ 1.1  part text/plain                10  01234567  clean
│  └─ 1.2  part "a.png"                   10  01234567  clean
│          image/png → application/x-dosexec
├─ 2  part "a.zip" application/zip  12345678  01234567  clean
│  │  ✗ archive.overlap → quarantine: members overlap: b.com, c.exe; at byte
│  │    1234 of the content of 2, 56 long; can hide content
│  ├─ 2.1  member "b.com"                 10  01234567  detected
│  │     ✗ virus.detected → quarantine: Eicar, says clamd
│  └─ 2.2  member encrypted               99  -         unscanned
│          "c.exe"
│          "c.txt"
│        ! unscanned.encrypted → tag: unpacker: no password fits
└─ 3  part text/plain                     10  01234567  not asked
""")


def test_a_wide_terminal_has_room_for_places():
    """Where in the message the encoded content stands, and how long it is there."""
    lines = drawn(RAW, component("1", offset=120, encoded_size=14), component("1.1", Origin.MEMBER), width=110)
    assert lines == expected("""
component                     bytes  at+long  sha256    engines
raw                            4711           01234567  clean
└─ 1  part text/plain            10   120+14  01234567  clean
   └─ 1.1  member text/plain     10           01234567  clean
""")


def test_what_a_finding_means_for_different_recipients_is_one_remark():
    """With all of its actions; the strictest remark comes first."""
    lines = drawn(
        RAW,
        findings=(
            by_rule("rule.a", "", ActionKind.NOTIFY, detail="first"),
            by_rule("rule.b", "", ActionKind.LOG, detail="second"),
            by_rule("rule.b", "", ActionKind.REJECT, detail="second"),
        ),
    )
    assert lines[2:] == ["   ✗ rule.b → log, reject: second", "   ! rule.a → notify: first"]


def test_of_many_alike_the_first_are_shown_and_the_rest_is_counted():
    """A thousand bad lines in one header are no thousand lines on the screen."""
    many = tuple(defect("header.nul", "", ActionKind.LOG, offset=offset) for offset in range(64))
    text = " ".join(" ".join(drawn(RAW, findings=many)[2:]).split())
    assert text.count("NUL in a MIME header") == 3
    assert text.endswith(
        "at byte 2; RFC 5322 §2.2; can hide content · header.nul → log: and 61 more of this kind noted here"
    )


def test_a_report_of_which_no_finding_tells_is_shown():
    """As when policy could not be asked: then nobody knows an action, and all the same it is not clean."""
    busy = replace(NOT_OPENED, engine="clamd", reason=UnscannedReason.BUSY, retryable=True)
    lines = drawn(replace(RAW, reports=(EICAR,)), component("1", reports=(busy,)))
    assert [line.strip("│ ") for line in lines if "→" in line] == [
        "! detected → ?: Eicar, says clamd",
        "! unscanned → ?: clamd: busy; may be had later",
    ]


def test_many_names_are_counted_after_the_first():
    """And none is told twice."""
    lines = drawn(RAW, component("1", names=tuple(f"{number}.txt" for number in range(20))))
    assert [line.strip() for line in lines[3:]] == [*(f'"{number}.txt"' for number in range(8)), "and 12 more names"]


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(
    "name",
    ["x" * 5_000 + ".exe", "帳單" * 200 + ".exe", "a" + " " * 300 + ".exe", "e\u0301" * 200 + ".exe"],
    ids=["long", "wide", "spaces", "combining marks"],
)
def test_no_name_is_wider_than_the_screen(name, width):
    """Of what is cut the end stays: the extension is what matters."""
    one = component("1", names=(name, "b"))
    lines = drawn(RAW, one, findings=(by_rule("rule.x", "1", ActionKind.LOG, detail=name),), width=width)
    assert max(map(columns, lines)) <= width
    assert any(line.endswith('.exe"') for line in lines)


def test_nothing_from_a_message_commands_the_terminal():
    """Escape sequences, line breaks and marks of direction: in names, types, evidence, signatures."""
    hostile = "\x1b[2J\r\n\u202e\u2028x"
    lines = drawn(
        RAW,
        component(
            "1",
            names=(hostile, hostile + "y"),
            content_type=hostile,
            detected_type=hostile + "z",
            reports=(replace(EICAR, signature_name=hostile),),
        ),
        findings=(
            defect("name.differ", "1", ActionKind.LOG, evidence=hostile),
            by_rule("rule.x", "1", ActionKind.LOG, detail=hostile),
        ),
    )
    assert all(line.isprintable() for line in lines)


def test_a_deep_message_stays_on_the_screen():
    """Of the levels only the last are drawn, with the number of the others; and no recursion."""
    paths = [".".join(["1"] * depth) for depth in range(1, 2_001)]
    lines = drawn(RAW, *(component(path) for path in paths[::2]), component(paths[-1], names=("deep.txt",)))
    assert max(map(columns, lines)) <= 80
    assert sum("└─" in line for line in lines) == 2_000
    assert next(line for line in lines if line.startswith("⋯9")).startswith(f"⋯9 {' ' * 18}└─ …1.1.1.1.1.1  ")


def test_colours_add_nothing_but_colours():
    """Without its escape sequences the text is the same, and every colour is switched off in its line."""
    root = tree(answer(RAW, component("1", reports=(EICAR,))))
    plain = list(drawing(root, width=80, colours=False))
    coloured = list(drawing(root, width=80, colours=True))
    assert "\x1b" not in "".join(plain)
    assert "\x1b[1;31mdetected\x1b[0m" in coloured[2]
    for one, other in zip(coloured, plain, strict=True):
        pieces = one.split("\x1b[")
        assert "".join([pieces[0], *(piece.partition("m")[2] for piece in pieces[1:])]).rstrip() == other
        assert [piece.startswith("0m") for piece in pieces[1:]] == [False, True] * (len(pieces) // 2)


def test_the_explanation_begins_with_the_decision(monkeypatch):
    """And says which engines were asked, and that the answer was cut, where it was."""
    monkeypatch.setenv("COLUMNS", "80")
    one = answer(RAW, component("1", reports=(CLEAN, NOT_OPENED)), left_out=321)
    assert explanation("a.eml", one, colours=False).splitlines() == expected("""
a.eml
  verdict      policy
  disposition  quarantine
  reason       a reason
  scan         S1, 4711 bytes, 12 ms
  engines      clamd 1.4, signatures 7+1: 2 clean
               unpacker 1.4, signatures 7+1: 1 unscanned
  left out     321 findings, those with the mildest actions; all were decided on

  component              bytes  sha256    engines
  raw                     4711  01234567  clean
  └─ 1  part text/plain     10  01234567  unscanned
        ! unscanned → ?: unpacker: encrypted
""")
