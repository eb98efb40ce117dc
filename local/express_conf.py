"""What nginx is told of the express lane, in the words of `proxy`'s templates."""

from __future__ import annotations

#: For so long the lane may be silent before the API is asked for a prediction, as long as anything may take there and
#: some; and for so long it is not asked again then.
EXPRESS_S, PASSED_BY_S = 3, 10
#: For so long it may be silent over a job: longer than it can take to store one.
JOB_S = 20
#: Who answers in its place.
PASSED_BY = "passed-by.sock"
FACTS = {"express_s": EXPRESS_S, "job_s": JOB_S, "passed_by_s": PASSED_BY_S, "passed_by": PASSED_BY}

#: What is asked in an unusual way goes to the API at once, and what the lane hands over or does not answer, then.
UPSTREAM = """\
    map "$request_method:$request_uri:$content_length:$http_idempotency_key$http_prefer" $elsewhere {
        "~^POST:/api/v1/(predict|jobs):[0-9]{1,5}:$" 0;
        default                                      1;
    }
    upstream express {
        zone upstream_express 64k;
        server @{express} max_fails=1 fail_timeout=@{passed_by_s}s@{resolve};
        server unix:@{passed_by} backup;
        keepalive 64;
    }
    # In the lane's place while that does not answer: hands everything over.
    server {
        listen unix:@{passed_by};
        location / {
            add_header X-Accel-Redirect @@api;
            return 200;
        }
    }
"""
_LOCATION = """\
        location = {path} {{
@{{pages}}            error_page 418 = @@api;
            # Else what is said of the API where that was asked by such a page is nginx's own.
            recursive_error_pages on;
            if ($stranger) {{
                return 401;
            }}
            if ($odd) {{
                return 400;
            }}
            if ($elsewhere) {{
                return 418;
            }}
            proxy_connect_timeout 1s;
{patience}            proxy_pass http://express;
        }}
"""
_PREDICT = """\
            proxy_read_timeout @{express_s}s;
            proxy_next_upstream error timeout non_idempotent;
"""
_JOBS = """\
            # Who has been sent a job may have stored it: nobody else is asked then, however long it takes.
            proxy_read_timeout @{job_s}s;
            proxy_next_upstream error timeout;
"""
_API = """\
        location @@api {
            recursive_error_pages on;
            proxy_pass http://api;
        }
"""
LOCATIONS = (
    _LOCATION.format(path="/api/v1/predict", patience=_PREDICT)
    + _LOCATION.format(path="/api/v1/jobs", patience=_JOBS)
    + _API
)
