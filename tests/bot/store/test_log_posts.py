"""What the moderators' log is told: in order, once for each channel, until it is closed."""

from dataclasses import replace
from datetime import timedelta

from bot.store import Store
from bot.store.log_posts import LogPost
from tests.bot.store.conftest import NOON

ACT = LogPost("decision", 5, 70, 1, "gives <@9> 3 credits", NOON)
KEY = (ACT.kind, ACT.about_id, ACT.channel_id)


async def test_posts_are_made_in_the_order_in_which_they_were_written(store: Store) -> None:
    posts = [replace(ACT, about_id=number) for number in (7, 5, 6)]
    for number, post in enumerate(posts):
        assert await store.log_posts.add(replace(post, created_at=NOON - timedelta(hours=number)))
    found: list[int] = []
    while (first := await store.log_posts.first(70)) is not None:
        found.append(first.about_id)
        await store.log_posts.close(first, NOON, message_id=100 + first.about_id)

    assert found == [7, 5, 6]
    assert await store.log_posts.messages(70) == {105, 106, 107}


async def test_the_same_is_told_once_in_each_channel(store: Store) -> None:
    assert await store.log_posts.add(ACT)
    assert not await store.log_posts.add(replace(ACT, text="otherwise"))
    assert await store.log_posts.add(replace(ACT, channel_id=71))
    assert await store.log_posts.add(replace(ACT, kind="job"))
    assert await store.log_posts.get(*KEY) == ACT
    assert sorted(await store.log_posts.channels()) == [70, 71]


async def test_what_is_closed_is_not_posted_and_later_forgotten(store: Store) -> None:
    await store.log_posts.add(ACT)
    await store.log_posts.repeat(ACT)
    assert await store.log_posts.get(*KEY) == replace(ACT, attempt=1)
    await store.log_posts.close(ACT, NOON, None)
    assert await store.log_posts.channels() == []
    assert not await store.log_posts.add(ACT)
    await store.log_posts.forget(NOON + timedelta(days=1))
    assert await store.log_posts.add(ACT)
