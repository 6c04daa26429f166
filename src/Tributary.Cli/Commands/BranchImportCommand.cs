using System.CommandLine;
using Tributary.Cli.Output;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary branch import</c></summary>
static class BranchImportCommand
{
    static readonly Argument<string> File = new("file") { Description = "A dump by pg_dump: plain SQL, custom or tar, or the folder of its directory format" };

    static readonly Option<string?> Database = new("--database") { Description = "The database that it becomes; 'branching.database' when left out", HelpName = "name" };

    static readonly Option<bool> CreateRoles = new("--create-roles")
    {
        Description = "Make the roles that the dump gives things to and main lacks; they cannot log in",
    };

    public static Command Build()
    {
        var command = new Command("import", "Restore a dump into a main that follows no production ('branching: { following: none }'), for branches of it")
        {
            File, Database, CreateRoles, SharedOptions.Output,
        };
        command.AddServerOptions();
        command.SetAction(RunAsync);
        return command.WithExamples(
            "pg_dump --format=custom --file=shop.dump shop && tributary branch import shop.dump",
            "tributary branch import shop.sql --database shop --create-roles",
            "tributary branch import /backups/shop.dir -o json");
    }

    static async Task<int> RunAsync(ParseResult parse, CancellationToken cancellationToken)
    {
        using var client = ServerFinder.Find(parse);
        if (client is null)
            return ExitCodes.Usage;
        var request = new Contracts.BranchImportRequest(Path.GetFullPath(parse.GetRequiredValue(File)))
        {
            Database = parse.GetValue(Database),
            CreateRoles = parse.GetValue(CreateRoles),
        };
        using var progress = new PhaseLine(parse.InvocationConfiguration.Error, quiet: SharedOptions.IsJson(parse), TimeProvider.System);
        var answer = await client.ImportAsync(request, step => progress.Show(step.Phase, ImportText.Line(step)), cancellationToken);
        progress.Dispose();
        if (!answer.Succeeded)
            return Failures.Report(parse, answer.Problem);
        ServerCommand.Print(parse, answer.Value, static json => json.BranchImportResponse, ImportText.Done);
        return ExitCodes.Ok;
    }
}
