# As /lib/svc/share/smf_include.sh of illumos: what it asks of the system is in files here.
smf_present() { [ ! -f "$DOUBLE/no-smf" ]; }
smf_is_nonglobalzone() { [ "`zonename`" != global ]; }
smf_clear_env() { unset SMF_FMRI SMF_METHOD SMF_RESTARTER SMF_ZONENAME; }
SMF_EXIT_OK=0
SMF_EXIT_ERR_FATAL=95
SMF_EXIT_ERR_CONFIG=96
SMF_EXIT_ERR_NOSMF=99
SMF_EXIT_ERR_PERM=100
