# SPDX-License-Identifier: Apache-2.0
mikeyincludedir = $(includedir)/libmikey
mikeyinclude_HEADERS = %D%/mikey.h %D%/base.h %D%/cursor.h %D%/exchange.h %D%/header.h %D%/kms.h \
	%D%/payload.h %D%/prf.h %D%/sdp.h %D%/seal.h %D%/srtp.h %D%/ticket.h
