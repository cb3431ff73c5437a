# SPDX-License-Identifier: MIT
"""The recommendation service on FastAPI: a query, a key, and what a write makes wrong; the rest is the library's.

Keys and answers are those of examples/recommendation, so that both may serve one Redis.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import sugarperf
from fastapi import FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sugarperf import AsyncClient, Statement

RECOMMENDATIONS = Statement(
    "getRecommendations",
    """
    SELECT coalesce(json_agg(item), '[]') FROM (
        SELECT id, title, creator_id, engagement_score,
               (SELECT coalesce(json_agg(name ORDER BY name), '[]')
                FROM content_tag_links JOIN content_tags ON content_tags.id = tag_id
                WHERE content_id = contents.id) AS tags
        FROM contents
        WHERE NOT EXISTS (SELECT FROM user_interests WHERE user_id = $1)
           OR EXISTS (SELECT FROM content_tag_links JOIN user_interests USING (tag_id)
                      WHERE content_id = contents.id AND user_id = $1)
        ORDER BY engagement_score DESC, id LIMIT $2) AS item""",
    read=True,
)
# Without the score: the update of all scores would drop every content with them.
CONTENT = Statement(
    "getContentWithTags",
    """
    SELECT row_to_json(content) FROM (
        SELECT id, creator_id, title, description, view_count, like_count, share_count, created_at,
               (SELECT coalesce(json_agg(name ORDER BY name), '[]')
                FROM content_tag_links JOIN content_tags ON content_tags.id = tag_id
                WHERE content_id = contents.id) AS tags
        FROM contents WHERE id = $1) AS content""",
    read=True,
)
INTERESTS = Statement(
    "getUserInterests",
    """
    SELECT coalesce(json_agg(tag ORDER BY name), '[]') FROM (
        SELECT content_tags.id, name FROM user_interests JOIN content_tags ON content_tags.id = tag_id
        WHERE user_id = $1) AS tag""",
    read=True,
)
INTERACTION = Statement(
    "recordInteraction",
    """
    WITH counted AS (
        UPDATE contents SET view_count = view_count + ($3 = 'view')::integer,
                            like_count = like_count + ($3 = 'like')::integer,
                            share_count = share_count + ($3 = 'share')::integer
        WHERE id = $2 RETURNING id)
    INSERT INTO user_interactions (user_id, content_id, type) SELECT $1, id, $3 FROM counted RETURNING id""",
    write=True,
)
SCORES = Statement(
    "updateEngagementScores",
    """
    UPDATE contents SET engagement_score = engagement_score(view_count, like_count, share_count, created_at)
    WHERE engagement_score <> engagement_score(view_count, like_count, share_count, created_at)""",
    write=True,
    idempotent=True,
)
LISTS = "rec:recommendations:*"
LISTS_OF_USER = "rec:recommendations:{userId}:*"


class Catalog:
    """The client and its keys."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client
        template = client.cache.template
        self.recommendations = template(
            "rec:recommendations:{userId}:{limit}", ttl="1h", size="5KB", stale="10m", patterns=[LISTS, LISTS_OF_USER]
        )
        self.interests = template("rec:user:{userId}:interests", ttl="24h", size="500B")
        self.content = template("rec:content:{contentId}:full", ttl="24h", size="2KB", stale="10m")

    async def read(self, key: str, statement: Statement, *values: Any) -> Any:
        return await self.client.cache.query(key, statement, values, cell=True)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncClient(env=True) as client:  # DATABASE_URL, REDIS_URL
        app.state.catalog = Catalog(client)
        yield


app = FastAPI(title="recommendations", lifespan=lifespan)
Id = Annotated[str, Path(min_length=1, max_length=128)]


@app.middleware("http")
async def unit_of_work(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """The statements of one request belong together: the profiler sees an N+1, and all share one deadline."""
    kind = request.url.path.split("/")[1]
    with request.app.state.catalog.client.scope(f"{request.method} /{kind}", timeout=5):
        return await answer(request)


@app.exception_handler(sugarperf.Error)
async def failed(request: Request, error: sugarperf.Error) -> Response:
    return JSONResponse({"error": error.code}, 503 if error.retryable else 500)


@app.get("/recommendations/{user_id}")
async def recommendations(request: Request, user_id: Id, limit: Annotated[int, Query(ge=1, le=100)] = 10) -> Any:
    catalog: Catalog = request.app.state.catalog
    key = catalog.recommendations.key(user_id, limit)
    return await catalog.client.breaker("recommendations").run_async(
        lambda: catalog.read(key, RECOMMENDATIONS, user_id, limit), fallback=[]
    )


@app.get("/content/{content_id}")
async def content(request: Request, content_id: Id) -> Any:
    catalog: Catalog = request.app.state.catalog
    found = await catalog.read(catalog.content.key(content_id), CONTENT, content_id)
    if found is None:
        raise HTTPException(404, "there is no such content")
    return found


@app.get("/user/{user_id}/interests")
async def interests(request: Request, user_id: Id) -> Any:
    catalog: Catalog = request.app.state.catalog
    return await catalog.read(catalog.interests.key(user_id), INTERESTS, user_id)


class Interaction(BaseModel):
    userId: str
    contentId: str
    type: Literal["view", "like", "share"]


@app.post("/interactions", status_code=201)
async def interact(request: Request, done: Interaction) -> Any:
    catalog: Catalog = request.app.state.catalog
    rows = await catalog.client.query(INTERACTION, [done.userId, done.contentId, done.type])
    if not rows:
        raise HTTPException(404, "there is no such content")
    await catalog.client.cache.invalidate(
        keys=[catalog.content.key(done.contentId)], patterns=[(LISTS_OF_USER, [done.userId])]
    )
    return {"id": rows[0]["id"]}


@app.post("/admin/scores")
async def scores(request: Request) -> Any:
    client = request.app.state.catalog.client
    done = await client.query(SCORES)
    await client.cache.invalidate(patterns=[LISTS])
    return {"changed": done.affected}


@app.get("/metrics")
async def metrics(request: Request) -> Response:
    return Response(request.app.state.catalog.client.metrics(), media_type="text/plain; version=0.0.4")


@app.get("/health/database")
async def health(request: Request, response: Response) -> Any:
    state = await request.app.state.catalog.client.health()
    response.status_code = 503 if state["status"] == "unhealthy" else 200
    return state
