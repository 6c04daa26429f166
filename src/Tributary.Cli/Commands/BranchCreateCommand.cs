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

    static readonly Option<string?> From = new("--from") { Description = "Fork this branch, with all that it has committed, instead of production", HelpName = "branch" };

    static readonly Option<string?> At = new("--at")
    {
        Description = "Take production as it was at this moment (ISO 8601) or position of its log",
        HelpName = "time|lsn",
    };

    static readonly Option<bool> Protect = new("--protect") { Description = "Neither delete nor reset it until it is unprotected" };

    static readonly BranchPolicyOptions Policy = new();

    public static Command Build()
    {
        var command = new Command("create", "Make a branch: a copy of production as of now, to break") { Name, FromSeed, From, At, Protect, IdempotencyKey };
        Policy.AddTo(command);
        return command.AskingServer<BranchResponse>(
            static (client, parse, cancellationToken) => client.CreateBranchAsync(
                Policy.Of(parse, new BranchCreateRequest
                {
                    Name = parse.GetValue(Name),
                    FromSeed = parse.GetValue(FromSeed),
                    From = parse.GetValue(From),
                    At = parse.GetValue(At),
                    Protected = parse.GetValue(Protect),
                    IdempotencyKey = parse.GetValue(IdempotencyKey),
                }),
                cancellationToken),
            static json => json.BranchResponse, BranchText.One)
            .WithExamples(
                "tributary branch create agent-42", "tributary branch create agent-42 --ttl 8h --owner ann --label team=pricing",
                "tributary branch create what-if --from agent-42",
                "tributary branch create before --at 2026-04-01T12:00:00Z", "psql \"$(tributary branch create -o json | jq -r .url)\"");
    }
}
