/* SPDX-License-Identifier: MIT */
/*
 * Ownership. Handles that nothing else depends on are freed by the collector. A client, pool, cache, queue, session or
 * lease ends at a moment that the face chooses, because ending one may wait or must come in order; the collector
 * leaves them alone. No handle that C needs, or that it made, is NULL in silence.
 */
%define %collected(noun, end)
struct sp_##noun {};
%needed(sp_##noun)
%extend sp_##noun {
        ~sp_##noun()
        {
                sp_##noun##_##end($self);
        }
}
%ignore sp_##noun##_##end;
%out_handle(sp_##noun, SWIG_POINTER_OWN)
%enddef

%define %kept(noun)
struct sp_##noun {};
%needed(sp_##noun)
%out_handle(sp_##noun, 0)
%enddef

%collected(config, free)
%collected(ctx, unref)
%collected(params, free)
%collected(template, unref)
%collected(stmt, unref)
%collected(result, free)
%collected(value, unref)
%collected(targets, free)
%collected(slow, free)
%collected(rules, unref)
%collected(row, free)
%collected(scan, unref)
%collected(clock, free)

%kept(queue)
%kept(client)
%kept(pool)
%kept(cache)
%kept(session)
%kept(copy)
%kept(stream)
%kept(listener)
%kept(lookup)
%kept(lease)
%kept(lookups)
%kept(profiler)
%kept(feed)
%kept(counter)
%kept(gauge)
%kept(histogram)

struct sp_metrics {};

%define %made(noun)
%newobject sp_##noun##_new;
%typemap(ret) sp_##noun *sp_##noun##_new
{
        if (!$1)
                SP_REFUSE(SP_NOMEM);
}
%enddef
%made(config)
%made(ctx)
%made(params)
%made(targets)
%made(row)
%made(clock)
%made(value)
%newobject sp_profiler_slow;
%newobject sp_session_notices;

/* NULL is an answer here: no pool of that name. */
%typemap(ret) sp_pool *sp_client_pool
{
        if (!$1 && sp_is_child(arg1))
                SP_REFUSE(SP_FORKED);
}

/*
 * A breaker may be the client's (borrowed) or one's own; both are held by a reference of the wrapper's.
 */
struct sp_breaker {};
%needed(sp_breaker)
%extend sp_breaker {
        ~sp_breaker()
        {
                sp_breaker_unref($self);
        }
}
%out_handle(sp_breaker, SWIG_POINTER_OWN)
%newobject sp_client_breaker;
%newobject sp_client_breaker_ref;
%typemap(ret) sp_breaker *sp_client_breaker
{
        if (!$1)
                SP_REFUSE(sp_no_breaker(arg1, arg2, &sp_raised));
        sp_breaker_ref($1);
}
%typemap(ret) sp_breaker *sp_client_breaker_ref
{
        if (!$1)
                SP_REFUSE(sp_no_breaker(arg1, arg2, &sp_raised));
}

/* Likewise a policy. A call ends at a moment that the face chooses; its context is borrowed. */
struct sp_policy {};
%needed(sp_policy)
%extend sp_policy {
        ~sp_policy()
        {
                sp_policy_unref($self);
        }
}
%out_handle(sp_policy, SWIG_POINTER_OWN)
%newobject sp_client_policy;
%typemap(ret) sp_policy *sp_client_policy
{
        if (!$1)
                SP_REFUSE(sp_no_policy(arg1, arg2, &sp_raised));
        sp_policy_ref($1);
}
%newobject sp_client_policy_ref;
%typemap(ret) sp_policy *sp_client_policy_ref
{
        if (!$1)
                SP_REFUSE(sp_no_policy(arg1, arg2, &sp_raised));
}
%kept(call)
%newobject sp_call_ctx;
%typemap(ret) sp_ctx *sp_call_ctx
{
        sp_ctx_ref($1);
}
