"""The courier at work for ever: up when there is news, down by long poll, and again after every break.

Guarantees: a link that returns carries its first page within two seconds, whatever the break was; a refusal
ends nothing. What is refused is noted by the courier; here it is only logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from isogenic.errors import NotReachable, Refusal
from isogenic.sites.courier import RETRY_MAX_S, RETRY_S, Courier

__all__ = ["download_for_ever", "upload_for_ever"]

log = logging.getLogger(__name__)
IDLE_S = 1.0  # wall seconds without news after which the upload loop looks again by itself


async def upload_for_ever(courier: Courier, news: asyncio.Event) -> None:
    """Send whatever is noted; `news` is set when there is something."""
    retry = RETRY_S
    while True:
        news.clear()
        try:
            while await courier.upload_backlog():
                retry = RETRY_S
        except NotReachable:
            await asyncio.sleep(retry)
            retry = min(2 * retry, RETRY_MAX_S)
            continue
        except Refusal as refusal:
            log.error("upload: %s", refusal)
            await asyncio.sleep(RETRY_MAX_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IDLE_S):
                await news.wait()


async def download_for_ever(courier: Courier) -> None:
    """Take the control ledger as it grows."""
    retry = RETRY_S
    while True:
        try:
            await courier.download_once()
            retry = RETRY_S
        except Refusal as refusal:
            if not isinstance(refusal, NotReachable):
                log.error("%s: %s", courier.control.origin, refusal)
            await asyncio.sleep(retry)
            retry = min(2 * retry, RETRY_MAX_S)
