/* SPDX-License-Identifier: MIT */
/* What the faces of Python have besides: many keys at once, schedules and warmings. */
%kept(lookups)
%kept(schedule)
%kept(turn)
%kept(warm)

/* The faces wait for its asynchronous twin. */
%ignore sp_lookups_fill;
%ignore sp_schedule_wait;
%ignore sp_warm_run;
