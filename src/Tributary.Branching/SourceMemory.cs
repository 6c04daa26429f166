using Microsoft.Extensions.Logging;
using Tributary.Branching.Catalog;

namespace Tributary.Branching;

/// <summary>
/// What production told us, kept in the catalog: branches go on while production cannot be reached, and another production behind the same
/// URL is noticed.
/// </summary>
internal static class SourceMemory
{
    public static async Task<BranchResult<SourceFacts>> ReadAsync(BranchingOptions options, BranchCatalog catalog, ILogger logger, CancellationToken cancellationToken)
    {
        var remembered = Remembered(catalog);
        var read = await SourceFacts.ReadAsync(options, cancellationToken);
        if (read.Value is not { } facts)
        {
            if (remembered is null)
                return read;
            Log.SourceUnreachable(logger, read.Error!.Message);
            return remembered;
        }

        if (remembered is not null && remembered.SystemIdentifier != facts.SystemIdentifier)
        {
            return new BranchError(
                BranchErrorKind.SourceUnsuitable,
                $"The source {options.Source} is another cluster (system identifier {facts.SystemIdentifier}) than the one that main in {options.StateDirectory} follows ({remembered.SystemIdentifier}). Correct source.url, or use another state folder.");
        }

        catalog.SetFact("system_identifier", facts.SystemIdentifier);
        catalog.SetFact("major", $"{facts.Major}");
        catalog.SetFact("superuser", facts.Superuser);
        catalog.SetFact("required_settings", string.Join('\n', facts.RequiredSettings));
        return facts;
    }

    static SourceFacts? Remembered(BranchCatalog catalog) => catalog.Fact("system_identifier") is { } identifier
        ? new SourceFacts(
            identifier, int.Parse(catalog.Fact("major")!, System.Globalization.CultureInfo.InvariantCulture), catalog.Fact("superuser")!,
            catalog.Fact("required_settings")!.Split('\n'))
        : null;
}
