using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.Logging;

namespace Tributary.Branching.Catalog;

/// <summary>
/// The catalog's rows once more, a file each, beside the volumes that they tell of: a catalog that is lost or damaged is rebuilt from them.
/// A file is written under another name and renamed, so it is whole or not there. None is flushed by itself, since it goes to the disk with the
/// volumes and is of no use without them. A pool that is full takes no record; it is owed then, and written with the next one that is taken.
/// The catalog's lock serializes all calls.
/// </summary>
/// <param name="folder">In the pool; made when it is missing.</param>
internal sealed class CatalogRecords(string folder, ILogger logger)
{
    /// <summary>The folder's name in the pool.</summary>
    public const string Folder = CatalogRepair.RecordsFolder;

    const string FactsFile = "facts.json";
    const string BranchPrefix = "branch-";
    const string SeedPrefix = "seed-";
    const string BasePrefix = "base-";

    /// <summary>What could not be written yet, by file; null for a removal. One entry a row at most.</summary>
    readonly Dictionary<string, string?> _owed = new(StringComparer.Ordinal);

    public bool Any => Directory.Exists(folder) && Directory.EnumerateFiles(folder, "*.json").Any();

    /// <summary>The highest number that has been given, as far as the records know.</summary>
    public long Sequence
    {
        get
        {
            try
            {
                return Text(FactsFile) is null ? 0 : Parse(FactsFile, RowJson.Default.FactsRow).Sequence;
            }
            catch (JsonException)
            {
                return 0;
            }
        }
    }

    public void Put(BranchRow branch) => Put(FileOf(branch), Json(branch));

    public void Put(SeedRow seed) => Put(FileOf(seed), Json(seed));

    public void Put(BaseRow image) => Put(FileOf(image), Json(image));

    public void Put(FactsRow facts) => Put(FactsFile, Json(facts));

    public void RemoveBranch(long id) => Put($"{BranchPrefix}{id}.json", null);

    public void RemoveSeed(string id) => Put($"{SeedPrefix}{id}.json", null);

    public void RemoveBase(string id) => Put($"{BasePrefix}{id}.json", null);

    /// <summary>Makes the records those of the catalog, whatever they were: a crash may have come between the two.</summary>
    public void Replace(CatalogContents contents)
    {
        var wanted = contents.Branches.ToDictionary(FileOf, Json, StringComparer.Ordinal);
        foreach (var seed in contents.Seeds)
            wanted[FileOf(seed)] = Json(seed);
        foreach (var image in contents.Bases)
            wanted[FileOf(image)] = Json(image);
        wanted[FactsFile] = Json(contents.Facts);
        foreach (var file in Files().Where(file => !wanted.ContainsKey(file)).ToList())
            Put(file, null);
        foreach (var (file, json) in wanted)
        {
            if (Text(file) != json)
                Put(file, json);
        }
    }

    /// <summary>All records, and the names of the files that hold none.</summary>
    public (CatalogContents Contents, IReadOnlyList<string> Unreadable) Read()
    {
        var unreadable = new List<string>();
        var branches = new List<BranchRow>();
        var seeds = new List<SeedRow>();
        var bases = new List<BaseRow>();
        FactsRow? facts = null;
        foreach (var file in Files().Where(file => file.EndsWith(".json", StringComparison.Ordinal)))
        {
            try
            {
                if (file == FactsFile)
                    facts = Parse(file, RowJson.Default.FactsRow);
                else if (file.StartsWith(SeedPrefix, StringComparison.Ordinal) && Parse(file, RowJson.Default.SeedRow) is var seed && seed.ToSeed() is not null)
                    seeds.Add(seed);
                else if (file.StartsWith(BasePrefix, StringComparison.Ordinal) && Parse(file, RowJson.Default.BaseRow) is var image && image.ToBase() is not null)
                    bases.Add(image);
                else if (file.StartsWith(BranchPrefix, StringComparison.Ordinal) && Parse(file, RowJson.Default.BranchRow) is var branch && branch.ToBranch() is not null)
                    branches.Add(branch);
            }
            catch (Exception exception) when (exception is JsonException or FormatException or ArgumentException or InvalidOperationException or OverflowException)
            {
                unreadable.Add(file);
            }
        }

        return (new CatalogContents(facts ?? new FactsRow(new Dictionary<string, string>(), 0), seeds, bases, branches), unreadable);
    }

    void Put(string file, string? json)
    {
        _owed[file] = json;
        try
        {
            foreach (var (owed, text) in _owed.ToList())
            {
                Write(owed, text);
                _owed.Remove(owed);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Log.RecordOwed(logger, file, exception);
        }
    }

    void Write(string file, string? json)
    {
        var path = Path.Combine(folder, file);
        if (json is null)
        {
            File.Delete(path);
            return;
        }

        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var unfinished = path + ".unfinished";
        File.WriteAllText(unfinished, json);
        File.Move(unfinished, path, overwrite: true);
    }

    string? Text(string file) => File.Exists(Path.Combine(folder, file)) ? File.ReadAllText(Path.Combine(folder, file)) : null;

    T Parse<T>(string file, JsonTypeInfo<T> type) => JsonSerializer.Deserialize(Text(file)!, type) ?? throw new JsonException("null");

    IEnumerable<string> Files() => Directory.Exists(folder) ? Directory.EnumerateFiles(folder).Select(file => Path.GetFileName(file)) : [];

    static string FileOf(BranchRow branch) => $"{BranchPrefix}{branch.Id}.json";

    static string FileOf(SeedRow seed) => $"{SeedPrefix}{seed.Id}.json";

    static string FileOf(BaseRow image) => $"{BasePrefix}{image.Id}.json";

    static string Json(BranchRow branch) => JsonSerializer.Serialize(branch, RowJson.Default.BranchRow);

    static string Json(SeedRow seed) => JsonSerializer.Serialize(seed, RowJson.Default.SeedRow);

    static string Json(BaseRow image) => JsonSerializer.Serialize(image, RowJson.Default.BaseRow);

    static string Json(FactsRow facts) => JsonSerializer.Serialize(facts, RowJson.Default.FactsRow);
}
