# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += libclv-policy.la
libclv_policy_la_SOURCES = %D%/policy.h %D%/policy-private.h %D%/load-private.h %D%/check.c \
	%D%/decide.c %D%/files.c %D%/ids.c %D%/keys.c %D%/parse.c %D%/rule.c %D%/view.c
libclv_policy_la_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
libclv_policy_la_LIBADD = libclv-base.la $(GLIB_LIBS)
