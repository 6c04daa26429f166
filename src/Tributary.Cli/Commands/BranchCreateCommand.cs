using System.CommandLine;
using Tributary.Cli.Output;
using Tributary.Contracts;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary branch create</c></summary>
static class BranchCreateCommand
{
    static readonly Argument<string?> Name = new("name")
    {
        Description = "Lower-case letters, digits and hyphens; without one the server makes a name",
        Arity = ArgumentArity.ZeroOrOne,
    };

    static readonly Option<string?> IdempotencyKey = new("--idempotency-key")
    {
        Description = "Repeating a request with its key answers the same branch instead of a second one",
        HelpName = "text",
    };

    static readonly Option<bool> FromSeed = new("--from-seed")
    {
        Description = "Take the newest seed, some seconds old, instead of the present; needs neither production nor a spare",
    };

    public static Command Build() => new Command("create", "Make a branch: a copy of production as of now, to break") { Name, FromSeed, IdempotencyKey }
        .AskingServer<BranchResponse>(
            static (client, parse, cancellationToken) => client.CreateBranchAsync(
                new BranchCreateRequest { Name = parse.GetValue(Name), FromSeed = parse.GetValue(FromSeed), IdempotencyKey = parse.GetValue(IdempotencyKey) }, cancellationToken),
            static json => json.BranchResponse, BranchText.One)
        .WithExamples("tributary branch create agent-42", "tributary branch create nightly --from-seed", "psql \"$(tributary branch create -o json | jq -r .url)\"");
}
