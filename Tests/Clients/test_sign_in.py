"""The command line as a user: tokens by environment and file, and nothing secret where others see it."""
import os
import subprocess

from platform_under_test import eventually, executables


def run(platform, *words, **environment):
    """`sapphire …` of somebody who has no key of this server."""
    return subprocess.run(
        [os.path.join(executables(), "sapphire"), *words, "--url", platform.url], capture_output=True, text=True, timeout=60,
        env={"PATH": os.environ["PATH"], "SAPPHIRE_DATA": "/nonexistent", **environment})


def test_publishes_and_observes_as_the_user_of_a_token(guarded, tmp_path):
    secret = guarded.token("ada")
    file = tmp_path / "token"
    file.write_text(secret + "\n")
    observer = guarded.command("observe", "members:room", "--json", "--token-file", str(file), "--since", "start",
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    done = run(guarded, "publish", "members:room", "by the variable", SAPPHIRE_TOKEN=secret)
    assert done.returncode == 0 and done.stdout.rstrip().endswith(":1"), done
    done = run(guarded, "publish", "members:room", "--json", '{"by":"the file"}', "--token-file", str(file))
    assert done.returncode == 0 and done.stdout.rstrip().endswith(":2"), done
    first, second = observer.stdout.readline(), observer.stdout.readline()
    assert '"user":"ada"' in first and '"by the variable"' in first and '"user":"ada"' in second, (first, second)
    with open(f"/proc/{observer.pid}/cmdline") as words:
        assert secret not in words.read()
    assert secret not in guarded.log_tail()


def test_says_why_somebody_is_not_let_in_and_nothing_of_the_token(guarded, tmp_path):
    expired, wrong = guarded.token("ada", "--expires", "1s"), guarded.token("ada")[:-4] + "AAAA"
    # No token, a wrong one, one that is over: 77, not permitted.
    assert run(guarded, "publish", "members:room", "x").returncode == 77
    eventually(20, "the token ends", lambda: run(
        guarded, "observe", "members:room", SAPPHIRE_TOKEN=expired).returncode == 77)
    for words in (("publish", "members:room", "x"), ("observe", "members:room")):
        done = run(guarded, *words, SAPPHIRE_TOKEN=wrong)
        assert done.returncode == 77 and wrong not in done.stderr + done.stdout, done
    # What is no token at all never leaves this machine.
    for environment, options in (({"SAPPHIRE_TOKEN": "PgXsecret"}, ()), ({}, ("--token-file", str(tmp_path / "none")))):
        done = run(guarded, "observe", "members:room", *options, **environment)
        assert done.returncode == 64 and "PgX" not in done.stderr, done
