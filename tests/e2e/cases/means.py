# SPDX-License-Identifier: Apache-2.0
"""What SIP can do besides INVITE and 200: redirection, 100rel, preconditions, Replaces, Join, glare."""
