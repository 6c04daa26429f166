using Tributary.Postgres;

namespace Tributary.Branching;

/// <summary>A frozen clone of main, from which any later moment can be recovered with the archived log.</summary>
/// <param name="Id">Sorts by time.</param>
/// <param name="LogFrom">The archived log is needed from here on; what is before is in the image.</param>
/// <param name="Lsn">The image holds nothing beyond this position.</param>
/// <param name="DataTime">Nor anything that production committed after this moment, by its clock.</param>
internal sealed record BaseImage(string Id, Lsn LogFrom, Lsn Lsn, DateTimeOffset DataTime)
{
    public const string Folder = "bases";

    /// <summary>The volume of the log that follows the images.</summary>
    public const string LogVolume = "archive";

    public string Volume => $"{Folder}/{Id}";
}
