"""A corpus is the text of its files, character by character, however large; or it says why not."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastrnn
from fastrnn import CharRNN, Corpus, UnknownCharacterError
from fastrnn.corpus import codes, textfiles
from fastrnn.corpus.vocabulary import Bytes, Vocabulary

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 20
ANY_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def on_disk(monkeypatch) -> None:
    """Have every number of a corpus of files go to a temporary file, a few at a time."""
    monkeypatch.setattr("fastrnn.corpus.corpus.IN_MEMORY", 0)
    monkeypatch.setattr(codes, "PIECE", 7)


# Reading files


@given(ANY_TEXT, st.integers(1, 9), st.booleans())
def test_the_text_of_a_file_is_every_character_of_it(text: str, piece: int, zipped: bool) -> None:
    content = text.removeprefix("\ufeff").encode()
    content = gzip.compress(content) if zipped else content
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder, "text")
        path.write_bytes(content)
        patch.setattr(textfiles, "_PIECE", piece)
        if text == "\ufeff":
            return
        with Corpus.from_files(path) as corpus:
            assert corpus.text() == text.removeprefix("\ufeff")
            assert len(corpus) == len(text.removeprefix("\ufeff"))


@given(st.text(st.characters(exclude_categories=()), min_size=1))  # lone surrogates too
def test_the_text_of_a_string_is_the_string(text: str) -> None:
    corpus = Corpus.from_text(text)
    assert corpus.text() == text
    assert corpus.characters() == "".join(sorted(set(text)))


def test_lines_end_as_they_do_in_the_file_and_a_byte_order_mark_is_no_character() -> None:
    Path("a").write_bytes("\ufeffnaïve\r\n日本\r".encode())
    Path("b").write_bytes("\ufeff\ufeffend\n".encode())
    assert Corpus.from_files(["a", "b"]).text() == "naïve\r\n日本\r\ufeffend\n"


def test_a_mark_within_a_file_is_a_character(monkeypatch) -> None:
    monkeypatch.setattr(textfiles, "_PIECE", 3)
    Path("a").write_bytes("abc\ufeffdef".encode())
    assert Corpus.from_files("a").text() == "abc\ufeffdef"


def test_files_follow_one_another_as_given_and_those_of_a_pattern_by_name() -> None:
    Path("sub", "deep").mkdir(parents=True)
    for name in ("b.txt", "a.txt", "c.md", "sub/d.txt", "sub/deep/e.txt"):
        Path(name).write_text(f"<{name}>")
    Path("folder.txt").mkdir()
    for files, names in (
        ("a.txt", ["a.txt"]),
        (Path("a.txt"), ["a.txt"]),
        (b"a.txt", ["a.txt"]),
        (["c.md", "a.txt", "a.txt"], ["c.md", "a.txt", "a.txt"]),
        (["c.md", "*.txt"], ["c.md", "a.txt", "b.txt"]),
        ("**/*.txt", ["a.txt", "b.txt", "sub/d.txt", "sub/deep/e.txt"]),
        ((name for name in ("b.txt", "c.md")), ["b.txt", "c.md"]),
    ):
        corpus = Corpus.from_files(files)
        assert corpus.files == tuple(names)
        assert corpus.text() == "".join(f"<{name}>" for name in names)


def test_a_file_whose_name_is_a_pattern_is_that_file() -> None:
    Path("a[1].txt").write_text("brackets")
    Path("a1.txt").write_text("none")
    assert Corpus.from_files("a[1].txt").text() == "brackets"


def test_an_empty_file_among_others_adds_nothing() -> None:
    Path("empty").touch()
    Path("text").write_text("text")
    assert Corpus.from_files(["empty", "text", "empty"]).text() == "text"


def test_gzip_is_known_by_its_content_and_may_have_several_members() -> None:
    Path("a.txt").write_bytes(gzip.compress(b"one ") + gzip.compress(b"two"))
    Path("b.gz").write_bytes(b"plain")
    assert Corpus.from_files(["a.txt", "b.gz"]).text() == "one twoplain"


@pytest.mark.parametrize("zipped", [False, True])
def test_a_dash_is_standard_input(monkeypatch, zipped: bool) -> None:
    content = "é\r\n".encode()
    stdin = io.BytesIO(gzip.compress(content) if zipped else content)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stdin))
    Path("a").write_text("a")
    assert Corpus.from_files(["a", "-"]).text() == "aé\r\n"
    assert not stdin.closed


# Files that cannot be read


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "'file' is empty"),
        ("\ufeff".encode(), "'file' is empty"),
        (b"\x7fELF\x02\x00\x01", r"is a binary file \(byte 5 is zero\)"),
        ("utf-16".encode("utf-16-le"), "is a binary file"),
        ("\ufeffte".encode("utf-16-le"), "not text in UTF-8: .* byte order mark of UTF-16"),
        ("\ufeffte".encode("utf-16-be"), "iconv -f UTF-16 -t UTF-8"),
        ("\ufeffte".encode("utf-32-le"), "byte order mark of UTF-32"),
        ("\ufeffte".encode("utf-32-be"), "byte order mark of UTF-32"),
        (b"caf\xe9!", "'file' is not text in UTF-8: byte 3 is 0xe9"),
        (b"caf\xc3", r"byte 3 is 0xc3 \(unexpected end of data\)"),
        (b"x" * 700_000 + b"\xff", "byte 700,000 is 0xff"),
        (b"x" * 700_000 + b"\0", "byte 700,000 is zero"),
        ("é".encode() * 200_000 + b"\xa9", "byte 400,000 is 0xa9"),
        (gzip.compress(b"caf\xe9!"), "'file', decompressed, is not text in UTF-8: byte 3 is 0xe9"),
        (gzip.compress(b"text" * 999)[:-9], "'file' is a gzip file that is cut short"),
        (gzip.compress(b"text" * 999)[:10], "'file' is a gzip file that is cut short"),
        (gzip.compress(b"text")[:-8] + bytes(8), "'file' is a gzip file that is damaged: CRC"),
        (gzip.compress(b"text") + b"more", "'file' is a gzip file that is damaged"),
        (gzip.compress(b"")[:10] + b"\xff" * 20, "'file' is a gzip file that is damaged"),
    ],
)
def test_a_file_that_is_not_text_is_refused_with_the_place(content: bytes, message: str) -> None:
    Path("good").write_text("good")
    Path("file").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        Corpus.from_files("file" if "empty" in message else ["good", "file"])


def test_a_character_may_not_begin_in_one_file_and_end_in_the_next() -> None:
    Path("a").write_bytes(b"caf\xc3")
    Path("b").write_bytes(b"\xa9")
    with pytest.raises(ValueError, match="'a' is not text in UTF-8: byte 3 is 0xc3"):
        Corpus.from_files(["a", "b"])


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        ("nowhere", FileNotFoundError, "No such file .*'nowhere'"),
        ("*.txt", FileNotFoundError, r"No file matches this pattern: '\*.txt'"),
        ("folder", IsADirectoryError, "'folder'"),
        ("fol*", FileNotFoundError, "No file matches this pattern"),
        (["text", "nowhere"], FileNotFoundError, "'nowhere'"),
        ([], ValueError, "files must name at least one file, got none"),
        (["-", "text", "-"], ValueError, "standard input, '-', only once"),
        (None, TypeError, "files must be a path or several, got None"),
        (5, TypeError, "files must be a path or several, got 5"),
        ([5], TypeError, r"files must be a path, got 5 \(int\)"),
        ("", ValueError, "files must be a path"),
    ],
)
def test_files_that_are_not_there_are_refused_before_any_is_read(
    monkeypatch, files, error, message
) -> None:
    monkeypatch.setattr(textfiles, "read", lambda name: pytest.fail("it was read"))
    Path("folder").mkdir()
    Path("text").write_text("text")
    with pytest.raises(error, match=message):
        Corpus.from_files(files)


def test_files_that_hold_nothing_are_named() -> None:
    for name in ("a", "b"):
        Path(name).touch()
    with pytest.raises(ValueError, match=r"each of \['a', 'b'\] is empty; a text to read was"):
        Corpus.from_files(["a", "b"])


def test_a_read_that_fails_names_the_file(monkeypatch) -> None:
    class Broken(io.BytesIO):
        def readinto(self, *_: object) -> int:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Broken()))
    with pytest.raises(OSError, match="Input/output error: 'standard input'"):
        Corpus.from_files("-")


def test_a_closed_standard_input_is_said_to_be_closed(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ValueError, match="standard input is closed"):
        Corpus.from_files("-")


def test_a_corpus_is_made_from_files_or_from_a_text() -> None:
    with pytest.raises(TypeError, match=r"Corpus.from_files\(files\) or Corpus.from_text\(text\)"):
        Corpus("a.txt", 0, 1)
    with pytest.raises(TypeError, match="text must be a str, got 5"):
        Corpus.from_text(5)


# Parts


@given(ANY_TEXT, st.integers(-30, 30) | st.none(), st.integers(-30, 30) | st.none())
def test_a_part_is_the_slice_of_the_text(text: str, start: int | None, stop: int | None) -> None:
    part = Corpus.from_text("#" + text)[1:][start:stop]
    assert part.text() == text[start:stop]
    assert len(part) == len(text[start:stop])
    assert part.characters() == "".join(sorted(set(text[start:stop])))


def test_a_part_is_a_slice_of_step_one() -> None:
    corpus = Corpus.from_text("abc")
    with pytest.raises(TypeError, match=r"a part of a corpus is a slice, .* got 0"):
        corpus[0]
    with pytest.raises(ValueError, match="a part of a corpus has step 1, got 2"):
        corpus[::2]


# Its characters


def test_rare_characters_can_be_left_out_of_its_vocabulary() -> None:
    corpus = Corpus.from_text("mississippi river")
    assert corpus.characters() == " eimprsv"
    assert corpus.characters(min_count=2) == "iprs"
    assert corpus.characters(min_count=3) == "is"
    assert corpus.characters(max_size=3) == "ips"  # p and r occur twice: the lower one
    assert corpus.characters(min_count=3, max_size=1) == "i"
    assert corpus.characters(min_count=99) == ""
    assert corpus[:4].characters(min_count=2) == "s"


@pytest.mark.parametrize("option", ["min_count", "max_size"])
def test_a_limit_of_characters_is_a_number_from_one(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} must be between 1"):
        Corpus.from_text("text").characters(**{option: 0})


@pytest.mark.parametrize("distinct", [1, 255, 256, 257, 65_535, 65_536, 65_537])
def test_any_number_of_distinct_characters_is_read_back(on_disk, monkeypatch, distinct) -> None:
    monkeypatch.setattr(codes, "PIECE", 5000)
    text = "".join(chr(point + 0x10000) for point in range(distinct))
    Path("text").write_text(text + text[::-1], encoding="utf-8")
    with Corpus.from_files("text") as corpus:
        assert corpus.text() == text + text[::-1]
        width = 1 if distinct <= 256 else 2 if distinct <= 65_536 else 4
        assert corpus._store.codes.dtype.itemsize == width


# What a model makes of it


@given(ANY_TEXT, st.data())
def test_ids_are_those_of_the_whole_text(text: str, data: st.DataObject) -> None:
    corpus = Corpus.from_text("#" + text)[1:]
    start = data.draw(st.integers(0, len(text)))
    for symbols in (Vocabulary(text), Bytes()):
        ids, expected = corpus._encode(symbols), symbols.encode(text)
        assert len(ids) == len(expected)
        np.testing.assert_array_equal(ids[start : start + 5], expected[start : start + 5])
        assert ids[:].dtype == np.int64


@given(st.text("abcdé日🦓", min_size=1), st.sampled_from(["skip", "a", "b"]), st.integers(1, 9))
def test_every_policy_gives_the_ids_that_it_gives_for_a_string(text, policy, piece) -> None:
    symbols = Vocabulary("ab日")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codes, "PIECE", piece)
        ids = Corpus.from_text(text)._encode(symbols, policy)[:]
    np.testing.assert_array_equal(ids, symbols.encode(text, unknown=policy))
    assert Corpus.from_text(text)._length_in(symbols, policy) == len(ids)


def test_an_unknown_character_is_named_with_file_and_position(on_disk) -> None:
    Path("a").write_text("abc" * 10)
    Path("b").write_text("abcabxabx")
    corpus = Corpus.from_files(["a", "b"])
    with pytest.raises(UnknownCharacterError, match=r"'b' holds .* 'x' \(U\+0078\) at position 5,"):
        corpus._encode(Vocabulary("abc"))
    with pytest.raises(UnknownCharacterError, match=r"'b' holds .* 'x' \(U\+0078\) at position 8,"):
        corpus[36:]._encode(Vocabulary("abc"))
    assert len(corpus[:35]._encode(Vocabulary("abc"))) == 35
    with pytest.raises(UnknownCharacterError, match=r"text holds .* 'x' \(U\+0078\) at position 1"):
        Corpus.from_text("abcx")[2:]._encode(Vocabulary("abc"))


@pytest.mark.parametrize("symbols", ["chars", "bytes"])
@pytest.mark.parametrize("text", [VERSE, VERSE + "naïve 日本語 🦓" * 9])
def test_training_on_files_has_the_bits_of_training_on_their_text(
    on_disk, symbols: str, text: str
) -> None:
    Path("a").write_text(text[:333], encoding="utf-8")
    Path("b").write_bytes(gzip.compress(text[333:].encode()))
    models = []
    with Corpus.from_files("[ab]") as corpus:
        assert corpus._store.codes._file is not None
        for one in (text, corpus, Corpus.from_text(text)):
            model = CharRNN("gru", 12, symbols=symbols).fit(one, epochs=2, batch_size=5, seq_len=30)
            models.append(model)
            model.save(f"model {len(models)}")
        for one in (text[7:400], corpus[7:400]):
            assert models[0].evaluate(one) == models[1].evaluate(text[7:400])
        stored = [models[0].evaluate(one, weights="int8") for one in (text, corpus)]
        assert stored[0] == stored[1]
    assert models[0].history == models[1].history == models[2].history
    contents = {Path(f"model {number}").read_bytes() for number in (1, 2, 3)}
    assert len(contents) == 1


# Where it is kept


@given(
    st.lists(st.lists(st.integers(0, 255), max_size=20)),
    st.none() | st.integers(0, 40),
    st.integers(1, 9),
    st.integers(0, 30),
)
def test_numbers_are_the_same_in_memory_and_in_a_file(parts, in_memory, piece, start) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codes, "PIECE", piece)
        kept = codes.Codes(np.uint8, in_memory)
        for part in parts:
            kept.append(np.array(part, np.int64))
        expected = np.array([number for part in parts for number in part], np.uint8)
        assert (kept._file is None) == (in_memory is None or len(expected) <= in_memory)
        np.testing.assert_array_equal(kept[start : start + 5], expected[start : start + 5])
        wide = kept.widened(np.uint16)
        with pytest.raises(ValueError, match="closed"):
            kept[:]
        np.testing.assert_array_equal(wide[:], expected.astype(np.uint16), strict=True)
        np.testing.assert_array_equal([n for piece in wide.pieces(2) for n in piece], expected[2:])
        wide.close()


def test_a_closed_corpus_says_so(on_disk) -> None:
    Path("a").write_text("abc")
    for corpus in (Corpus.from_files("a"), Corpus.from_text("abc")):
        with corpus:
            part = corpus[1:]
        with pytest.raises(ValueError, match="the corpus is closed"):
            part.text()
        corpus.close()
        assert repr(corpus).startswith("Corpus(3 characters of ")


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="counts open files")


@needs_proc
def test_the_temporary_file_has_no_name_and_goes_with_the_corpus(on_disk, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", os.getcwd())
    Path("a").write_text(VERSE)
    before = open_files()
    corpus = Corpus.from_files("a")
    part = corpus[5:]
    assert os.listdir() == ["a"]
    assert open_files() == before + 1
    del corpus
    assert part.text() == VERSE[5:]
    del part
    assert open_files() == before


@needs_proc
@pytest.mark.parametrize("failure", [KeyboardInterrupt, MemoryError, ValueError])
def test_nothing_stays_open_of_a_corpus_that_could_not_be_made(
    on_disk, monkeypatch, failure
) -> None:
    Path("a").write_text(VERSE)

    def texts(name: str):
        yield VERSE
        raise failure

    monkeypatch.setattr(textfiles, "read", texts)
    before = open_files()
    with pytest.raises(failure) as caught:
        Corpus.from_files("a")
    assert open_files() == before
    assert caught.tb is not None  # which an interactive session keeps, and with it all variables


@pytest.mark.parametrize("after", [0, 1])
def test_a_disk_without_room_is_an_error_that_names_the_folder_and_what_to_do(
    on_disk, monkeypatch, after: int
) -> None:
    class Full:
        calls = count()

        def write(self, content: memoryview) -> int:
            if next(self.calls) >= after:
                raise OSError(28, "No space left on device")
            return 1

        def close(self) -> None:
            pass

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Full())
    Path("a").write_text(VERSE)
    with pytest.raises(OSError, match=r"No space left .* TMPDIR names another") as caught:
        Corpus.from_files("a")
    assert caught.value.filename == tempfile.gettempdir()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_process_reads_its_own_place(on_disk) -> None:
    Path("a").write_text(VERSE)
    corpus = Corpus.from_files("a")
    child = os.fork()
    if not child:
        os._exit(0 if all(corpus.text() == VERSE for _ in range(20)) else 1)
    assert all(corpus.text() == VERSE for _ in range(20))
    assert os.waitpid(child, 0)[1] == 0


def test_without_a_way_to_read_at_a_place_it_seeks(on_disk, monkeypatch) -> None:
    monkeypatch.delattr(os, "pread", raising=False)
    Path("a").write_text(VERSE)
    with Corpus.from_files("a") as corpus:
        assert corpus[9:99].text() == VERSE[9:99]


READ = r"""
    import re, sys, resource, fastrnn
    fastrnn.set_num_threads(1)
    with fastrnn.Corpus.from_files(sys.argv[1]) as corpus:
        cut = len(corpus) - 3000
        model = fastrnn.CharRNN("rnn", 16, symbols=sys.argv[2])
        model.fit(corpus[:cut], steps=3, unknown=sys.argv[3])
        assert model.history[-1]["step"] == 3
        from fastrnn.corpus.streams import Streams  # all of a pass, without the arithmetic
        ids = corpus._encode(model._vocabulary, sys.argv[3])
        streams = Streams.split(ids, 32, 64)
        walk = streams.walk(64)
        seen = sum(next(walk)[1].size for _ in range(streams.chunk_count(64)))
        assert len(ids) - 33 <= seen < len(ids)
        model.evaluate(corpus[cut:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if sys.platform == "linux":  # where that begins with the peak of the process that made this one
        peak = int(re.search(r"VmHWM:\s*(\d+)", open("/proc/self/status").read())[1])
    print(peak * (1 if sys.platform == "darwin" else 1024))
"""


def peak_memory(megabytes: int, alphabet: str, symbols: str = "chars") -> int:
    """Return the peak of a process that trains on a new file of this size, in bytes."""
    rng = np.random.default_rng(0)
    piece = "".join(alphabet[i] for i in rng.integers(0, len(alphabet), 2**18)).encode()
    with open("text", "wb") as file:
        for _ in range(megabytes * 2**20 // len(piece)):
            file.write(piece)
    command = [sys.executable, "-c", textwrap.dedent(READ), "text", symbols, "error"]
    environment = {**os.environ, "PYTHONPATH": str(Path(fastrnn.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    os.unlink("text")
    assert (done.returncode, done.stderr) == (0, "")
    return int(done.stdout)


posix = pytest.mark.skipif(os.name != "posix", reason="measures a process with getrusage")


@posix
@pytest.mark.slow
@pytest.mark.unsanitized
@pytest.mark.parametrize(
    ("alphabet", "symbols"),
    [("abcdefgh \n", "chars"), ("naïve日本🦓 \n", "chars"), ("naïve日本🦓 \n", "bytes")],
)
def test_training_on_a_large_file_takes_no_more_memory_than_on_a_small_one(
    alphabet: str, symbols: str
) -> None:
    small, large = (peak_memory(size, alphabet, symbols) for size in (60, 300))
    assert large - small < 20 * 2**20
    assert large < 200 * 2**20


@posix
@pytest.mark.unsanitized
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_process_that_is_ended_while_it_reads_leaves_nothing_behind(number: int) -> None:
    Path("temporary").mkdir()
    command = [sys.executable, "-m", "fastrnn", "train", "-", "--out", "model"]
    environment = {
        **os.environ,
        "TMPDIR": str(Path("temporary").absolute()),
        "PYTHONPATH": str(Path(fastrnn.__file__).parents[1]),
    }
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    for _ in range(20):  # more than stays in memory, so that all of it but a pipe's has been read
        process.stdin.write(VERSE.encode() * 1200)
    process.stdin.flush()
    links = [Path(f"/proc/{process.pid}/fd/{n}") for n in range(3, 20)]
    if os.path.exists("/proc/self/fd"):
        deadline = time.monotonic() + 60
        while not any("temporary" in os.readlink(link) for link in links if link.is_symlink()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate()
    if number == signal.SIGINT:
        assert (process.returncode, errors) == (130, b"fastrnn: interrupted\n")
    else:
        assert process.returncode == -number
    assert os.listdir() == ["temporary"]
    assert os.listdir("temporary") == []


@pytest.mark.parametrize("arguments", [(), ("a text",), ("a text", 0, 6)])
def test_made_in_another_way_it_says_how_it_is_made(arguments: tuple) -> None:
    with pytest.raises(TypeError, match=r"made by Corpus.from_files\(files\) or Corpus.from_text"):
        Corpus(*arguments)
