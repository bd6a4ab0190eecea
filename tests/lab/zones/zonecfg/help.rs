//! What zonecfg prints as help and usage, to the letter of the recorded one.

/// A command: its name, its syntax, and what help says of it.
const COMMANDS: &[(&str, &str, &str)] = &[
    (
        "add",
        "add <resource-type>\n\
         \t(global scope)\n\
         add <property-name> <property-value>\n\
         \t(resource scope)",
        "Add specified resource to configuration.",
    ),
    ("cancel", "cancel", "Cancels resource/property specification."),
    ("clear", "clear <property-name>", "Clears property values."),
    (
        "commit",
        "commit",
        "Commits current configuration.  Configuration must be committed to\n\
         \tbe used by zoneadm.  Until the configuration is committed, changes \n\
         \tcan be removed with the revert command.  This operation is\n\
         \tattempted automatically upon completion of a zonecfg session.",
    ),
    (
        "create",
        "create [-F] [ -a <path> | -b | -t <template> ]",
        "Creates a configuration for the specified zone.  create should be\n\
         \tused to begin configuring a new zone.  If overwriting an existing\n\
         \tconfiguration, the -F flag can be used to force the action.  If\n\
         \t-t template is given, creates a configuration identical to the\n\
         \tspecified template, except that the zone name is changed from\n\
         \ttemplate to zonename.  'create -a' creates a configuration from a\n\
         \tdetached zonepath.  'create -b' results in a blank configuration.\n\
         \t'create' with no arguments applies the Sun default settings.",
    ),
    (
        "delete",
        "delete [-F]",
        "Deletes the specified zone.  The -F flag can be used to force the\n\
         \taction.",
    ),
    ("end", "end", "Ends resource/property specification."),
    ("exit", "exit [-F]", "Exits the program.  The -F flag can be used to force the action."),
    (
        "export",
        "export [-f output-file]",
        "Prints configuration to standard output, or to output-file if\n\
         \tspecified, in a form suitable for use in a command-file.",
    ),
    ("help", "help [commands] [syntax] [usage] [<command-name>]", "Prints help message."),
    (
        "info",
        "info [<resource-type> [property-name=property-value]*]",
        "Displays information about the current configuration.  If resource\n\
         \ttype is specified, displays only information about resources of\n\
         \tthe relevant type.  If resource id is specified, displays only\n\
         \tinformation about that resource.",
    ),
    (
        "remove",
        "remove [-F] <resource-type> [ <property-name>=<property-value> ]*\n\
         \t(global scope)\n\
         remove <property-name> <property-value>\n\
         \t(resource scope)",
        "Remove specified resource from configuration.  The -F flag can be used\n\
         \tto force the action.",
    ),
    (
        "revert",
        "revert [-F]",
        "Reverts configuration back to the last committed state.  The -F flag\n\
         \tcan be used to force the action.",
    ),
    (
        "select",
        "select <resource-type> { <property-name>=<property-value> }",
        "Selects a resource to modify.  Resource modification is completed\n\
         \twith the command \"end\".  The property name/value pairs must uniquely\n\
         \tidentify a resource.  Note that the curly braces ('{', '}') mean one\n\
         \tor more of whatever is between them.",
    ),
    ("set", "set <property-name>=<property-value>", "Sets property values."),
    (
        "verify",
        "verify",
        "Verifies current configuration for correctness (some resource types\n\
         \thave required properties).",
    ),
];

/// What `info` with an unknown word adds: the resources and their properties.
const RESOURCES: &str = "\n\
    <resource type> := fs | net | device | rctl | attr |\n\
    \tdataset | dedicated-cpu | capped-cpu | capped-memory | admin\n\
    \n\
    For resource type ... there are property types ...:\n\
    \t(global)\tzonename\n\
    \t(global)\tzonepath\n\
    \t(global)\tbrand\n\
    \t(global)\tautoboot\n\
    \t(global)\tbootargs\n\
    \t(global)\tpool\n\
    \t(global)\tlimitpriv\n\
    \t(global)\tscheduling-class\n\
    \t(global)\tip-type\n\
    \t(global)\thostid\n\
    \t(global)\tfs-allowed\n\
    \t(global)\tmax-lwps\n\
    \t(global)\tmax-processes\n\
    \t(global)\tmax-shm-memory\n\
    \t(global)\tmax-shm-ids\n\
    \t(global)\tmax-msg-ids\n\
    \t(global)\tmax-sem-ids\n\
    \t(global)\tcpu-shares\n\
    \t(global)\tzfs-io-priority\n\
    \tfs\t\tdir, special, raw, type, options\n\
    \tnet\t\taddress, allowed-address, global-nic, mac-addr, physical, property, vlan-id defrouter\n\
    \tdevice\t\tmatch, property\n\
    \trctl\t\tname, value\n\
    \tattr\t\tname, type, value\n\
    \tdataset\t\tname\n\
    \tdedicated-cpu\tncpus, importance\n\
    \tcapped-cpu\tncpus\n\
    \tcapped-memory\tphysical, swap, locked\n\
    \tadmin\t\tuser, auths\n\
    \tsecurity-flags\t\tdefault, lower, upper\n\
    ";

/// The command that a statement begins with, and the text after it. No blank is needed between the two.
pub fn command(text: &str) -> Option<(&'static str, &str)> {
    COMMANDS.iter().find_map(|(name, ..)| Some((*name, text.strip_prefix(name)?)))
}

/// The output of `help`.
pub fn help() -> String {
    let each = COMMANDS.iter().map(|(_, syntax, text)| format!("{syntax}\n\t{text}\n\n"));
    format!("Commands:\n\n{}", each.collect::<String>())
}

/// What follows a syntax error.
pub fn syntax() -> String {
    let each = COMMANDS.iter().map(|(_, syntax, _)| format!("{syntax}\n"));
    format!("Commands:\n\n{}", each.collect::<String>())
}

/// What follows a command that was used wrongly.
pub fn usage(command: &str) -> String {
    let syntax = COMMANDS.iter().find(|(name, ..)| *name == command).map_or(command, |(_, syntax, _)| syntax);
    let more = if command == "info" { RESOURCES } else { "" };
    format!("usage:\n{syntax}\n{more}")
}
