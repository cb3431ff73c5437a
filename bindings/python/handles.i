/* SPDX-License-Identifier: MIT */
/* What the faces of Python have besides: schedules and warmings. */
%kept(schedule)
%kept(turn)
%kept(warm)

/* The faces wait for its asynchronous twin. */
%ignore sp_schedule_wait;
%ignore sp_warm_run;
