/* SPDX-License-Identifier: MIT */
/* How C crosses into JavaScript. */

%header %{
#include <string>

/* The error that the call in progress stored; one call at a time runs on a JavaScript thread. */
static thread_local sp_error *sp_raised;

/* Throws what the face turns into a SugarperfError: message, code "SP_…", serverCode, retryable. */
static void sp_throw(Napi::Env env, sp_status status)
{
        sp_error *error = sp_raised;
        Napi::Error thrown = Napi::Error::New(env, error != nullptr ? sp_error_message(error) : sp_status_text(status));
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

static Napi::Value sp_buffer(Napi::Env env, const void *data, size_t len)
{
        if (data == nullptr)
                return env.Null();
        return Napi::Buffer<char>::Copy(env, static_cast<const char *>(data), len);
}
%}

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

%typemap(in) (const void *data, size_t len) (std::string held)
{
        const void *bytes;
        size_t size;

        if (!sp_bytes($input, held, &bytes, &size))
                SWIG_exception_fail(SWIG_TypeError, "$symname: expected a Buffer, a typed array or a string");
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

/* Tags and permits stay below 2^53. */
%typemap(in) uint64_t (double number), size_t (double number), uint32_t (double number)
{
        if (napi_get_value_double(env, $input, &number) != napi_ok || number < 0 || number > 9007199254740991.0)
                SWIG_exception_fail(SWIG_TypeError, "$symname: '$1_name' must be an integer from 0 to 2^53 - 1");
        $1 = static_cast<$1_ltype>(number);
}

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
