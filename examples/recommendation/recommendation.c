/* SPDX-License-Identifier: MIT */
/* The recommendation service: its paths, the work that is due, the rules that say which rows stand behind which keys. */
#include "recommendation.h"

#include "read.h"

/*
 * The document's rules. Counters drop their content alone and scores nothing: the batch update drops all lists at its end. A new
 * content with its tags enters no list but those that have a place for it. A tag that others give to an older one drops all lists: no
 * rule can tell the two apart, a trigger can (../migrations/recommendation/deploy/feed.sql). What plain SQL does to scores shows in
 * lists at their next update.
 */
static const char rules[] =
    "contents(id) when id, creator_id, title, description, view_count, like_count, share_count, created_at -> "
    "rec:content:{id}:full\n"
    "contents(id) on update, delete when id, creator_id, title -> rec:recommendations:*, rec:user:*:interests\n"
    "contents on insert -> tag " TAG_OPEN_LISTS "\n"
    "user_interactions(user_id, content_id) on insert, delete\n"
    "        -> rec:recommendations:{user_id}:*, rec:content:{content_id}:full\n"
    "user_interests(user_id) -> rec:recommendations:{user_id}:*, rec:user:{user_id}:interests\n"
    "content_tag_links(content_id) -> rec:content:{content_id}:full\n"
    "content_tag_links(content_id) on update, delete -> rec:recommendations:*\n"
    "content_tag_links on insert -> tag " TAG_OPEN_LISTS "\n"
    "content_tags(id) on update when id, name -> rec:recommendations:*, rec:content:*, rec:user:*:interests\n";

static void get_recommendations(void *arg, struct http_call *call, const char *id)
{
        struct recommendation *service = arg;

        read_list(&service->service, call, &service->recommendations, id);
}

static void get_content(void *arg, struct http_call *call, const char *id)
{
        struct recommendation *service = arg;

        read_by_id(&service->service, call, &service->content, id);
}

static void get_interests(void *arg, struct http_call *call, const char *id)
{
        struct recommendation *service = arg;
        struct work *work = read_new(&service->service, call, &service->interests);

        if (!work)
                return;
        work_param(work, id);
        read_query(work);
}

static const struct http_route routes[] = {{"GET", "/recommendations/{}", get_recommendations},
                                           {"GET", "/content/{}", get_content},
                                           {"GET", "/user/{}/interests", get_interests},
                                           {"POST", "/content", post_content},
                                           {"POST", "/content/{}", post_content_change},
                                           {"POST", "/interactions", post_interaction},
                                           {"POST", "/admin/scores", post_scores},
                                           SERVICE_ROUTES};

int main(int argc, char **argv)
{
        struct recommendation service = {0};
        struct reading *const readings[] = {&service.recommendations, &service.content, &service.interests, NULL};
        struct writing *const writings[] = {&service.record_interaction, &service.create_content,
                                            &service.change_content, &service.update_scores, NULL};
        const struct job jobs[] = {
            {"warm-contents", "start", "listTopContents",
             "SELECT id FROM contents ORDER BY engagement_score DESC, id LIMIT 100", &service.content, NULL},
            {"refresh-scores", "hourly", "listTopContents",
             "SELECT id FROM contents ORDER BY engagement_score DESC, id LIMIT 100", &service.content, update_scores},
            {"rebuild-interests", "daily 00:00", "listActiveUsers", "SELECT id FROM users WHERE is_active ORDER BY id",
             &service.interests, NULL},
            {0}};
        const struct plan plan = {.name = "recommendation",
                                  .what = "the recommendation service; see README.md",
                                  .port = 3001,
                                  .routes = routes,
                                  .readings = readings,
                                  .writings = writings,
                                  .jobs = jobs,
                                  .rules = rules};

        catalog(&service);
        return service_main(&service.service, &plan, argc, argv);
}
