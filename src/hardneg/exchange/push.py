"""Upload of an export to the Hugging Face hub; name and login are checked before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardneg.errors import ConfigError, UserError

# Files that an earlier export may have left, and that an export without that format would not replace.
STALE = ["*.safetensors", "*.onnx", "*.onnx.data", "*openvino_model.*"]


@dataclass(frozen=True)
class Destination:
    """A model repository on the hub, as OWNER/NAME, and how to push to it.

    `private` makes a new repository private; otherwise the default of the account or organisation applies, which is
    public unless changed. `revision` is a branch, created if it does not exist; null: main.
    """

    repo: str
    private: bool = False
    revision: str | None = None
    message: str | None = None

    def check(self) -> None:
        """Raise `ConfigError` for an invalid name or one of another owner, and `UserError` if the hub login fails."""
        from huggingface_hub.utils import HFValidationError, validate_repo_id

        try:
            validate_repo_id(self.repo)
        except HFValidationError as error:
            raise ConfigError(f"--push {self.repo}: {error}") from error
        if self.repo.count("/") != 1:
            raise ConfigError(f"--push {self.repo}: the name must be OWNER/NAME, as in --push my-account/{self.repo}")
        with _told(self.repo):
            me = _client().whoami()
        owners = [me["name"], *(one["name"] for one in me.get("orgs", ()))]
        owner = self.repo.split("/")[0]
        if owner not in owners:
            raise ConfigError(
                f"--push {self.repo}: you are logged in as {me['name']}, which cannot write to {owner}; you can write"
                f" to {', '.join(owners)}"
            )

    def push(self, folder: Path) -> str:
        """Upload a folder in one commit and return the commit's URL; raises `UserError` if the hub refuses."""
        client = _client()
        with _told(self.repo):
            client.create_repo(self.repo, private=self.private or None, repo_type="model", exist_ok=True)
            if self.revision is not None:
                client.create_branch(self.repo, branch=self.revision, repo_type="model", exist_ok=True)
            done = client.upload_folder(
                repo_id=self.repo,
                folder_path=folder,
                repo_type="model",
                revision=self.revision,
                commit_message=self.message or "Export by hardneg",
                delete_patterns=STALE,
            )
        return str(getattr(done, "commit_url", done))


def _client() -> Any:
    from huggingface_hub import HfApi

    from hardneg import __version__

    return HfApi(library_name="hardneg", library_version=__version__)


@contextmanager
def _told(repo: str) -> Iterator[None]:
    """Turn the client's exceptions into messages that say what to do."""
    from huggingface_hub import errors as hub

    try:
        yield
    except hub.LocalTokenNotFoundError as error:
        raise UserError(f"--push {repo}: not logged in to the hub; run hf auth login, or set HF_TOKEN") from error
    except hub.OfflineModeIsEnabled as error:
        raise UserError(f"--push {repo}: HF_HUB_OFFLINE forbids access to the hub; unset it") from error
    except hub.RevisionNotFoundError as error:
        raise UserError(f"--push {repo}: {_first_line(error)}") from error
    except hub.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            mend = "log in again with a token that has write access (hf auth login, or HF_TOKEN)"
            raise UserError(f"--push {repo}: the hub refuses ({_first_line(error)}); {mend}") from error
        raise UserError(f"--push {repo}: the hub answered: {_first_line(error)}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"--push {repo}: the hub cannot be reached ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
