using Tributary.Contracts;

namespace Tributary.Cli.Output;

/// <summary>An import while it goes on, and when it has ended.</summary>
static class ImportText
{
    public static string Line(BranchImportResponse step) => step.Phase switch
    {
        "restoring" => $"restoring: {Words.Bytes(step.Bytes)}",
        "analyzing" => $"analyzing {Words.Bytes(step.Bytes)}",
        "seeding" => "making a seed",
        var other => other,
    };

    public static void Done(BranchImportResponse import, TextWriter output) => TextTable.Write(
        output,
        ("database", import.Database),
        ("size", Words.Bytes(import.Bytes)),
        ("roles made", import.Roles is { Count: > 0 } roles ? string.Join(", ", roles) : null),
        ("seed", import.SeedId ?? $"not yet: {import.SeedError}"),
        ("try", "tributary branch create"));
}
