"""Videos that hang, crash or fill the process that opens them, by their names."""

POISON = """
import builtins, os, time

plain_import = builtins.__import__


def open_poisoned(plain_open):
    def open_video(file, *arguments, **options):
        name = os.path.basename(str(file))
        if name.startswith("hang"):
            time.sleep(10_000)
        if name.startswith("crash"):
            os.kill(os.getpid(), 11)
        if name.startswith("exit"):
            os._exit(7)
        if name.startswith("fill"):
            kept = [bytearray(100_000_000) for _ in range(1000)]
        return plain_open(file, *arguments, **options)

    return open_video


def import_poisoned(name, *arguments, **options):
    module = plain_import(name, *arguments, **options)
    if name == "av" and hasattr(module, "open") and not hasattr(module, "is_poisoned"):
        module.is_poisoned, module.open = True, open_poisoned(module.open)
    return module


builtins.__import__ = import_poisoned
"""


def poisoned(folder):
    """A folder for the module path, with which PyAV behaves as its libraries do with certain damaged files."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(POISON)
    return folder
