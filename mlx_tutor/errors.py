"""The exceptions that users see, each with one line that says what is wrong and what to do.

    TutorError                 one line for the user, exit status 1
    +-- RecipeError            recipe.toml or --set
    +-- CorpusError            courses and their files
    +-- DatasetError           rows: missing, stale, too few
    +-- ModelError             base, adapter or fused model: not there, broken, not fitting
    +-- TrainingError          training could not go on
    +-- ServeError             the web page and its API
        +-- UnknownModelError  another model than the one that is served

A message says what is wrong, with what, and what to do next. Errors of other packages are mapped at the
one place that calls them, with `raise ... from err`. Anything else is a bug and keeps its traceback.
"""


class TutorError(Exception):
    """A problem that the user can solve; `str()` is the whole message."""


class RecipeError(TutorError):
    """A setting is unknown, of the wrong type or out of range."""


class CorpusError(TutorError):
    """A course or one of its files cannot be used."""


class DatasetError(TutorError):
    """The rows are missing, stale or too few."""


class ModelError(TutorError):
    """A model cannot be found, read or combined."""


class TrainingError(TutorError):
    """Training cannot start or cannot go on."""


class ServeError(TutorError):
    """The local server cannot start, or refuses a request."""


class UnknownModelError(ServeError):
    """The server was asked for a model that it does not have."""
