/* SPDX-License-Identifier: MIT */
/* How C crosses into JavaScript. */

%header %{
#include <cmath>
#include <string>

/* The error that the call in progress stored; one call at a time runs on a JavaScript thread. */
static thread_local sp_error *sp_raised;

/* Throws what the face turns into a SugarperfError: message, code "SP_…", serverCode, retryable. */
static void sp_throw(Napi::Env env, sp_status status, const char *text = nullptr)
{
        sp_error *error = sp_raised;
        const char *message = error != nullptr ? sp_error_message(error) : sp_status_text(status);
        Napi::Error thrown = Napi::Error::New(env, text != nullptr ? text : message);
        bool retryable = error != nullptr ? sp_error_retryable(error) : sp_status_retryable(status);

        sp_raised = nullptr;
        thrown.Set("code", Napi::String::New(env, sp_status_name(status)));
        thrown.Set("status", Napi::Number::New(env, status));
        thrown.Set("serverCode", Napi::String::New(env, error != nullptr ? sp_error_code(error) : ""));
        thrown.Set("retryable", Napi::Boolean::New(env, retryable));
        sp_error_free(error);
        thrown.ThrowAsJavaScriptException();
}

/* Bytes of a Buffer, another typed array, or a string (held as UTF-8). */
static bool sp_bytes(Napi::Value value, std::string &held, const void **data, size_t *len)
{
        if (value.IsString()) {
                held = value.As<Napi::String>().Utf8Value();
                *data = held.data();
                *len = held.size();
                return true;
        }
        if (!value.IsTypedArray())
                return false;
        Napi::TypedArray array = value.As<Napi::TypedArray>();
        *data = static_cast<const char *>(array.ArrayBuffer().Data()) + array.ByteOffset();
        *len = array.ByteLength();
        return true;
}

/* "key must be …" */
static std::string sp_misfit(const char *call, const char *argument, const char *wanted)
{
        return std::string(sp_word(call, argument)) + " must be " + wanted;
}

/* What a double can hold without having been rounded, and `max` allows. NaN is nothing of that. */
static bool sp_integer(Napi::Value value, double min, double max, bool whole, double &number)
{
        return napi_get_value_double(value.Env(), value, &number) == napi_ok && number >= min && number <= max &&
               (!whole || number == std::floor(number));
}

static Napi::Value sp_buffer(Napi::Env env, const void *data, size_t len)
{
        if (data == nullptr)
                return env.Null();
        return Napi::Buffer<char>::Copy(env, static_cast<const char *>(data), len);
}
%}

%header %{
/* From inside a wrapper. */
#define SP_REFUSE(status)                                                                                              \
        do {                                                                                                           \
                sp_throw(env, status);                                                                                 \
                SWIG_fail;                                                                                             \
        } while (0)
%}

/* A handle that must be there. */
%define %needed(noun)
%typemap(check) noun *, const noun *
{
        if (!$1 && !sp_optional("$symname", "$1_name"))
                SWIG_exception_fail(SWIG_TypeError, sp_misfit("$symname", "$1_name", "an object of the library").c_str());
}
%enddef

%typemap(in, numinputs=0) sp_error **error
{
        $1 = &sp_raised;
}

%typemap(out) sp_status
{
        if ($1 != SP_OK) {
                sp_throw(env, $1);
                SWIG_fail;
        }
        $result = env.Undefined();
}

/* Calls that answer a status alone: the words are ours. */
%define %worded(function, length, max, room)
%typemap(out) sp_status function
{
        if ($1 != SP_OK) {
                char text[128];

                sp_refusal("$symname", length, max, room, text, sizeof text);
                sp_throw(env, $1, $1 == SP_NOMEM ? nullptr : text);
                SWIG_fail;
        }
        $result = env.Undefined();
}
%enddef
%typemap(out) sp_status sp_key_format
{
        if ($1 != SP_OK) {
                sp_key_check(arg1, arg2, &sp_raised);
                sp_throw(env, $1);
                SWIG_fail;
        }
        $result = env.Undefined();
}

%typemap(in) const char * (std::string held)
{
        $1 = nullptr;
        if ($input.IsString()) {
                held = $input.As<Napi::String>().Utf8Value();
                if (held.find('\0') != std::string::npos)
                        SWIG_exception_fail(SWIG_TypeError,
                                            (std::string(sp_word("$symname", "$1_name")) + " has a zero byte").c_str());
                $1 = ($1_ltype)held.c_str();
        } else if (!(($input.IsNull() || $input.IsUndefined()) && sp_optional("$symname", "$1_name"))) {
                SWIG_exception_fail(SWIG_TypeError, sp_misfit("$symname", "$1_name", "a string").c_str());
        }
}
%typemap(freearg) const char * ""

%typemap(in) (const void *data, size_t len) (std::string held)
{
        const void *bytes;
        size_t size;

        if (($input.IsNull() || $input.IsUndefined()) && sp_optional("$symname", "$1_name"))
                bytes = nullptr, size = 0;
        else if (!sp_bytes($input, held, &bytes, &size))
                SWIG_exception_fail(SWIG_TypeError, sp_misfit("$symname", "$1_name", "a string or a Buffer").c_str());
        $1 = ($1_ltype)bytes;
        $2 = size;
}

/* A borrowed string, or null. */
%typemap(out) const char *
{
        if ($1 != nullptr)
                $result = Napi::String::New(env, $1);
        else
                $result = env.Null();
}

/* Borrowed bytes and their length: copied into a Buffer. */
%typemap(in, numinputs=0) size_t *len (size_t size)
{
        size = 0;
        $1 = &size;
}
%typemap(out) const void *
{
        $result = env.Null();
}
%typemap(argout) size_t *len
{
        $result = sp_buffer(env, result, *$1);
}

%typemap(in, numinputs=0) (char *buf, size_t cap, size_t *len) (char room[SP_KEY_MAX], size_t size)
{
        $1 = room;
        $2 = sizeof room;
        $3 = &size;
}
%typemap(argout) (char *buf, size_t cap, size_t *len)
{
        $result = Napi::String::New(env, $1, *$3);
}

/*
 * Integers that a double can hold: from 2^53 on a number may have been rounded before it came here. A fraction of a
 * nanosecond is dropped.
 */
%define %integer(type, min, max, whole, wanted)
%typemap(in) type (double number)
{
        if (!sp_integer($input, min, max, whole, number))
                SWIG_exception_fail(SWIG_TypeError, sp_misfit("$symname", "$1_name", wanted).c_str());
        $1 = static_cast<$1_ltype>(number);
}
%enddef
%integer(uint64_t, 0, 9007199254740991.0, true, "an integer from 0 to 2^53 - 1")
%integer(size_t, 0, 9007199254740991.0, true, "an integer from 0 to 2^53 - 1")
%integer(uint32_t, 0, 4294967295.0, true, "an integer from 0 to 2^32 - 1")
%integer(int64_t, -9007199254740991.0, 9007199254740991.0, false, "an integer from -(2^53 - 1) to 2^53 - 1")
%integer(int, -2147483648.0, 2147483647.0, true, "an integer from -2^31 to 2^31 - 1")

%typemap(in, numinputs=0) uint64_t *permit (uint64_t permit)
{
        permit = 0;
        $1 = &permit;
}
%typemap(argout) uint64_t *permit
{
        $result = Napi::Number::New(env, static_cast<double>(*$1));
}

/* An open breaker is an answer, 0, not an error: refusing must cost next to nothing. */
%typemap(out) sp_status sp_breaker_acquire
{
        if ($1 != SP_OK && $1 != SP_OPEN) {
                sp_throw(env, $1);
                SWIG_fail;
        }
        $result = env.Undefined();
}

/* `noun **out` becomes the value that the call returns. */
%define %out_handle(noun, flags)
%typemap(in, numinputs=0) noun **out (noun *made)
{
        made = nullptr;
        $1 = &made;
}
%typemap(argout) noun **out
{
        $result = SWIG_NewPointerObj(*$1, $*1_descriptor, flags);
}
%enddef

%ignore sp_cache_peek;
