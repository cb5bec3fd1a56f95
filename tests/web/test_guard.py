@pytest.mark.parametrize("path", ["/v1/models", "/login"])
async def test_api_and_login_see_that_a_request_was_forwarded(path: str) -> None:
    app = bare_app(Settings())

    @app.get(path)
    async def told(request: Request) -> dict[str, str]:
        return {"host": request.headers["host"], "for": request.headers.get("x-forwarded-for", "")}

    async with client(app) as web:
        answer = await web.get(path, headers={"x-forwarded-for": "203.0.113.7"})
        assert answer.json() == {"host": HERE.partition("//")[2], "for": "203.0.113.7"}
