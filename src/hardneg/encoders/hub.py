"""Whether the hub has a model, asked once, within seconds: its own client would try for minutes."""

from __future__ import annotations

from functools import lru_cache

from hardneg.errors import ConfigError

PATIENCE = 10.0  # seconds that the hub has for its answer
FILE = "config.json"  # every model has one


def check_hub(name: str, revision: str | None = None) -> None:
    """Raise `ConfigError` for a hub name that is neither in the local cache nor to be had from the hub.

    An answer that may change in a minute, as of a busy server, passes: loading asks again.
    """
    if problem := _problem(name, revision):
        raise ConfigError(problem)


@lru_cache
def _problem(name: str, revision: str | None) -> str | None:
    """What is wrong with a hub name; None if nothing is."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
    from huggingface_hub import errors as hub

    own = "give a folder that holds a model"
    try:
        if isinstance(try_to_load_from_cache(name, FILE, revision=revision), str):
            return None
        if constants.HF_HUB_OFFLINE:
            return f"{name!r} is not in the cache, and HF_HUB_OFFLINE forbids asking the hub; {own}"
        get_hf_file_metadata(hf_hub_url(name, FILE, revision=revision), timeout=PATIENCE)
    except hub.HFValidationError:
        return f"{name!r} is neither a model on the hub (OWNER/NAME) nor a folder; {own}"
    except hub.GatedRepoError:
        return f"{name!r} is gated: request access on its page and set HF_TOKEN, or {own}"
    except hub.RevisionNotFoundError:
        return f"{name!r} has no revision {revision!r} on the hub"
    except hub.RepositoryNotFoundError:
        return f"the hub shows no model {name!r}: check the spelling, set HF_TOKEN for a private one, or {own}"
    except hub.EntryNotFoundError:
        return f"{name!r} on the hub has no {FILE}, so no model can be loaded from it; {own}"
    except hub.HfHubHTTPError:
        return None
    except Exception as error:  # of whichever HTTP client the installed version uses
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        return (
            f"{name!r} is not in the cache, and the hub cannot be reached from here ({reason}); download it on a"
            f" machine with a network (hf download {name}), or {own}"
        )
    return None
