using System.Text.Json;
using System.Text.Json.Serialization;
using Tributary.Contracts.Costs;

namespace Tributary.Contracts;

/// <summary>How every request and response is written: camel case, enums by name, absent rather than null.</summary>
[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip)]
[JsonSerializable(typeof(BranchCreateRequest))]
[JsonSerializable(typeof(BranchUpdateRequest))]
[JsonSerializable(typeof(BranchResetRequest))]
[JsonSerializable(typeof(BranchRestoreRequest))]
[JsonSerializable(typeof(BranchImportRequest))]
[JsonSerializable(typeof(BranchImportResponse))]
[JsonSerializable(typeof(BranchResponse))]
[JsonSerializable(typeof(BranchListResponse))]
[JsonSerializable(typeof(StatusResponse))]
[JsonSerializable(typeof(StreamStatusResponse))]
[JsonSerializable(typeof(StreamListResponse))]
[JsonSerializable(typeof(StreamCheckResponse))]
[JsonSerializable(typeof(StreamInitResponse))]
[JsonSerializable(typeof(RemovalResponse))]
[JsonSerializable(typeof(ConnectResponse))]
[JsonSerializable(typeof(StopResponse))]
[JsonSerializable(typeof(DoctorResponse))]
[JsonSerializable(typeof(RepairResponse))]
[JsonSerializable(typeof(CostRequest))]
[JsonSerializable(typeof(CostResponse))]
[JsonSerializable(typeof(ProblemResponse))]
public sealed partial class ContractsJson : JsonSerializerContext
{
    /// <summary>The same on one line, with characters as they are: for a pipe that takes one after the other.</summary>
    public static ContractsJson Line => field ??= new ContractsJson(new JsonSerializerOptions(JsonSerializerDefaults.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });

    /// <summary>The same, indented and with characters as they are, for a terminal.</summary>
    // Made on first use: most runs of the command line print no JSON.
    public static ContractsJson Indented => field ??= new ContractsJson(new JsonSerializerOptions(JsonSerializerDefaults.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
